import assert from "assert";
import {
  backwardKeys,
  backwardQueries,
  cachedAppend,
  cachedAttention,
  cachedSplit,
  forward,
} from "../../gpu/kernels/attention/generate.ts";
import { type AttentionKind, defaultCached, defaultTiles } from "../../gpu/kernels/attention/defaults.ts";
import {
  attentionReference,
  hash4,
  matrix,
  randomHeads,
  readMatrix,
  ready,
  relativeError,
  run,
  testDevice,
} from "./attention_reference.ts";

const tolerance = 2e-6; // float32 rounding over sums of up to a few hundred terms

type Case = { B: number; T: number; H: number; hd: number; dropout?: number };
type Tiles = { queries: number; keys: number; workgroup: number; heads: number };
type Storage = "texture" | "buffer";

const site = 5;
const step = { seed: 17, index: 23, position: 0 };

/** The dropout factor of (b*H + h, i, j) as the kernels must draw it. */
function keepOnHost({ T, dropout = 0 }: Case): (headRow: number, i: number, j: number) => number {
  if (dropout === 0) return () => 1;
  const last = (step.index ^ Math.imul(step.seed, 2654435769)) >>> 0;
  return (headRow, i, j) => {
    const words = hash4([i * Math.ceil(T / 4) + (j >> 2), headRow, site, last]);
    return words[j & 3]! >= Math.round(dropout * 2 ** 32) ? 1 / (1 - dropout) : 0;
  };
}

function testForwardAndBackward(c: Case, storage: Storage, tiles: Record<AttentionKind, Tiles>): void {
  Deno.test(`attention forward and backward: ${JSON.stringify({ ...c, storage })}`, async () => {
    const { B, T, H, hd } = c;
    const D = Math.ceil(hd / 4);
    const { device, errors } = await testDevice();
    try {
      const qkvData = randomHeads(B * T, 3 * H, hd, 1, 2);
      const dyData = randomHeads(B * T, H, hd, 2);
      const expected = attentionReference(c, qkvData, dyData, keepOnHost(c));
      const qkv = matrix(device, storage, B * T, 3 * H * D, qkvData);
      const dy = matrix(device, storage, B * T, H * D, dyData);
      const y = matrix(device, storage, B * T, H * D);
      const stats = matrix(device, storage, B * H * T, 1);
      const delta = matrix(device, storage, B * H * T, 1);
      const dqkv = matrix(device, storage, B * T, 3 * H * D);
      const options = (kind: AttentionKind) => ({ dropout: 0, ...c, site, ...tiles[kind] });
      const kernels = [
        await ready(device, forward({ ...options("forward"), stats: true }), { qkv }, { y, stats }, step),
        await ready(
          device,
          backwardQueries(options("queries")),
          { qkv, y, dy, stats },
          { delta, dqkv },
          step,
        ),
        await ready(device, backwardKeys(options("keys")), { qkv, dy, delta }, { dqkv }, step),
      ];
      run(device, kernels);
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

for (
  const [c, storage, queries, keys, heads] of [
    [{ B: 1, T: 1, H: 1, hd: 1 }, "buffer", 1, 2, 1],
    [{ B: 2, T: 24, H: 3, hd: 5 }, "texture", 1, 4, 6],
    [{ B: 3, T: 17, H: 1, hd: 8 }, "texture", 4, 2, 2],
    [{ B: 1, T: 65, H: 7, hd: 13 }, "buffer", 4, 4, 4],
    [{ B: 2, T: 37, H: 2, hd: 32 }, "texture", 2, 3, 1],
    [{ B: 2, T: 19, H: 3, hd: 8, dropout: 0.25 }, "buffer", 2, 4, 6],
    [{ B: 1, T: 26, H: 2, hd: 12, dropout: 0.1 }, "texture", 4, 2, 1],
    [{ B: 2, T: 13, H: 1, hd: 4, dropout: 0.5 }, "texture", 3, 1, 2],
  ] as const
) {
  const tiles = { queries, keys, heads, workgroup: 16 };
  testForwardAndBackward(c, storage, { forward: tiles, queries: tiles, keys: tiles });
}

for (
  const [shape, dropout, storage, profile] of [
    [{ B: 2, T: 33, H: 3, hd: 33 }, 0.2, "texture", "llvmpipe512"],
    [{ B: 1, T: 50, H: 5, hd: 20 }, 0, "buffer", "gpu"],
  ] as const
) {
  const tiles = (kind: AttentionKind) => defaultTiles(kind, shape, profile);
  testForwardAndBackward({ ...shape, dropout }, storage, {
    forward: tiles("forward"),
    queries: tiles("queries"),
    keys: tiles("keys"),
  });
}

/** Generation: a prompt of `prompt` tokens, then one at a time, against attention over the whole sequence. */
for (
  const { kind, prompt, B, H, hd, T, workgroup } of [
    { kind: "buffer", prompt: 5, B: 2, H: 3, hd: 6, T: 9, workgroup: 16 },
    { kind: "texture", prompt: 33, B: 1, H: 2, hd: 8, T: 37, workgroup: 4 },
    { kind: "texture", prompt: 70, B: 1, H: 1, hd: 5, T: 72, workgroup: 32 },
  ] as const
) {
  Deno.test(`attention over a cache: prompt ${prompt}, then one at a time to ${T}, ${kind}`, async () => {
    const D = Math.ceil(hd / 4);
    const T_max = T;
    const { device, errors } = await testDevice();
    try {
      const data = randomHeads(B * T, 3 * H, hd, 3, 2);
      const expected = attentionReference({ B, T, H, hd }, data, new Float32Array(B * T * H * D * 4)).y;
      const nan = new Float32Array(B * T_max * H * D * 4).fill(NaN); // rows never appended must never be read
      const k_cache = matrix(device, kind, B * T_max, H * D, nan);
      const v_cache = matrix(device, kind, B * T_max, H * D, nan);
      const width = 3 * H * D * 4;
      for (let position = 0; position < T; position += position === 0 ? prompt : 1) {
        const N = position === 0 ? prompt : 1;
        const rows = Array.from({ length: B * N }, (_, r) => Math.floor(r / N) * T + position + r % N);
        const now = new Float32Array(B * N * width);
        rows.forEach((row, r) => now.set(data.subarray(row * width, (row + 1) * width), r * width));
        const qkv = matrix(device, kind, B * N, 3 * H * D, now);
        const y = matrix(device, kind, B * N, H * D);
        const shape = { B, N, T_max, H, hd, workgroup };
        const attend = N === 1
          ? cachedSplit({ ...shape, keys: 2 })
          : cachedAttention(shape, defaultCached(shape, "llvmpipe512"));
        const at = { ...step, position };
        run(device, [
          await ready(device, cachedAppend(shape), { qkv }, { k_cache, v_cache }, at),
          await ready(device, attend, { qkv, k_cache, v_cache }, { y }, at),
        ]);
        const got = await readMatrix(device, y);
        const want = rows.flatMap((row) => [...expected.subarray(row * H * D * 4, (row + 1) * H * D * 4)]);
        assert(relativeError(got, want) < tolerance, `position ${position}`);
      }
      assert.deepEqual(errors, []);
    } finally {
      device.destroy();
    }
  });
}

Deno.test("attention dropout: the share of kept weights and no mask shared by neighbours", () => {
  const c = { B: 1, T: 128, H: 1, hd: 1, dropout: 0.1 };
  const keep = keepOnHost(c);
  let kept = 0, total = 0, equal = 0;
  for (let i = 0; i < 128; i++) {
    for (let j = 0; j < 128; j++) {
      total++;
      if (keep(0, i, j) > 0) kept++;
      if (keep(0, i, j) === keep(1, i, j)) equal++;
    }
  }
  assert(Math.abs(kept / total - 0.9) < 0.01); // 4 standard deviations
  assert(Math.abs(equal / total - (0.9 * 0.9 + 0.1 * 0.1)) < 0.015);
});

Deno.test("attention generators refuse sizes and rates that make no sense", () => {
  const options = {
    B: 1,
    T: 4,
    H: 1,
    hd: 4,
    queries: 2,
    keys: 2,
    workgroup: 16,
    heads: 1,
    dropout: 0,
    site: 0,
  };
  assert.throws(() => backwardQueries({ ...options, T: 0 }), /T must be a positive integer, got 0/);
  assert.throws(() => backwardKeys({ ...options, keys: 1.5 }), /keys must be a positive integer/);
  assert.throws(() => forward({ ...options, stats: false, dropout: 1 }), /dropout must be in \[0, 1\)/);
});
