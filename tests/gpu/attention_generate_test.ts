import assert from "assert";
import { backwardKeys, backwardQueries, forward } from "../../gpu/kernels/attention/generate.ts";
import {
  attentionReference,
  matrix,
  randomHeads,
  readMatrix,
  ready,
  relativeError,
  run,
  testDevice,
} from "./attention_reference.ts";

const tolerance = 2e-6; // float32 rounding over sums of up to a few hundred terms

type Case = { B: number; T: number; H: number; hd: number; queries: number; keys: number; heads: number };

const cases: [Case, "texture" | "buffer"][] = [
  [{ B: 1, T: 1, H: 1, hd: 1, queries: 1, keys: 1, heads: 1 }, "buffer"],
  [{ B: 2, T: 24, H: 3, hd: 5, queries: 1, keys: 4, heads: 6 }, "texture"],
  [{ B: 3, T: 17, H: 1, hd: 8, queries: 4, keys: 2, heads: 2 }, "texture"],
  [{ B: 1, T: 65, H: 7, hd: 13, queries: 4, keys: 4, heads: 4 }, "buffer"],
  [{ B: 2, T: 37, H: 2, hd: 32, queries: 2, keys: 3, heads: 1 }, "texture"],
];

for (const [c, kind] of cases) {
  Deno.test(`attention forward and backward: ${JSON.stringify(c)} ${kind}`, async () => {
    const { B, T, H, hd } = c;
    const D = Math.ceil(hd / 4);
    const { device, errors } = await testDevice();
    try {
      const qkvData = randomHeads(B * T, 3 * H, hd, 1, 2);
      const dyData = randomHeads(B * T, H, hd, 2);
      const expected = attentionReference(c, qkvData, dyData);
      const qkv = matrix(device, kind, B * T, 3 * H * D, qkvData);
      const dy = matrix(device, kind, B * T, H * D, dyData);
      const y = matrix(device, kind, B * T, H * D);
      const stats = matrix(device, kind, B * H * T, 1);
      const delta = matrix(device, kind, B * H * T, 1);
      const dqkv = matrix(device, kind, B * T, 3 * H * D);
      const options = { ...c, workgroup: 16 };
      run(device, [
        await ready(device, forward({ ...options, stats: true }), { qkv }, { y, stats }),
        await ready(device, backwardQueries(options), { qkv, y, dy, stats }, { delta, dqkv }),
        await ready(device, backwardKeys(options), { qkv, dy, delta }, { dqkv }),
      ]);
      assert(relativeError(await readMatrix(device, y), expected.y) < tolerance);
      const deltas = (await readMatrix(device, delta)).filter((_, i) => i % 4 < 2);
      const lse2 = expected.lse.map((x) => x * Math.LOG2E);
      assert(relativeError(deltas.filter((_, i) => i % 2 === 0), lse2) < tolerance);
      assert(relativeError(deltas.filter((_, i) => i % 2 === 1), expected.delta) < 2 * tolerance);
      assert(relativeError(await readMatrix(device, dqkv), expected.dqkv) < 2 * tolerance);
      assert.deepEqual(errors, []);
    } finally {
      device.destroy();
    }
  });
}
