/** The tuner: candidates are valid and right, a wrong one cannot win, and a plan takes what was chosen. */

import assert from "assert";
import { randomInt } from "../../common/mod.ts";
import {
  axis,
  type Choices,
  choicesOf,
  Graph,
  isValid,
  layoutParameters,
  linear,
  plan,
  type PlanTarget,
  rowsOf,
  type Site,
  siteKey,
  tune,
  tuningSites,
  winners,
} from "../../gpu/mod.ts";
import { type Bench, openBench } from "../../gpu/tuning/bench.ts";
import {
  candidates,
  type CandidateTarget,
  choiceKey,
  defaultChoice,
  LEAST_LIMITS,
} from "../../gpu/tuning/candidates.ts";
import { candidateTarget } from "../../gpu/tuning/tune.ts";
import { withGpu } from "./support.ts";

const SHAPE = { B: 2, T: 21, H: 4, hd: 12 };

const SITES: Site[] = [
  { op: "matmul", mode: "NN", M: 37, N: 44, K: 20, bias: true, half: false },
  { op: "matmul", mode: "NN", M: 37, N: 44, K: 20, bias: false, half: false },
  { op: "matmul", mode: "NT", M: 37, N: 44, K: 52, bias: false, half: false },
  { op: "matmul", mode: "TN", M: 36, N: 44, K: 29, bias: true, half: false },
  { op: "matmul", mode: "TN", M: 36, N: 44, K: 29, bias: false, half: false },
  { op: "matmul", mode: "NN", M: 37, N: 44, K: 20, bias: true, half: true },
  { op: "attention", kind: "forward", shape: SHAPE, dropout: 0, half: false },
  { op: "attention", kind: "queries", shape: { ...SHAPE, H_kv: 2, alibi: true }, dropout: 0.2, half: false },
  { op: "attention", kind: "keys", shape: { ...SHAPE, H_kv: 2 }, dropout: 0.2, half: false },
  {
    op: "attention",
    kind: "keys",
    shape: { ...SHAPE, sparse: { window: 3, stride: 4 } },
    dropout: 0,
    half: false,
  },
  { op: "cached attention", shape: { B: 2, N: 1, T_max: 24, H: 4, hd: 12 }, half: false },
];

const TARGETS: CandidateTarget[] = [
  { profile: "llvmpipe512", hasSubgroups: true, ...LEAST_LIMITS },
  { profile: "llvmpipe256", hasSubgroups: false, ...LEAST_LIMITS },
  { profile: "gpu", hasSubgroups: true, ...LEAST_LIMITS },
];

Deno.test("candidates: the default first, each once, all within the adapter's limits", () => {
  for (const target of TARGETS) {
    for (const site of SITES) {
      const all = candidates(site, target);
      assert.deepEqual(all[0], defaultChoice<Site>(site, target));
      assert.equal(new Set(all.map(choiceKey)).size, all.length);
      assert.ok(all.length > 2, siteKey(site));
      assert.ok(all.every((choice) => isValid(site, choice, target)), siteKey(site));
    }
  }
  assert.equal(new Set(SITES.map(siteKey)).size, SITES.length);
});

Deno.test("what an adapter cannot have is no candidate", () => {
  const [site] = SITES as [Site];
  const tile = { form: "shared", tile_m: 8, tile_n: 8, k_unroll: 16, workgroup: [16, 16] } as const;
  const [llvmpipe, narrow, gpu] = TARGETS as [CandidateTarget, CandidateTarget, CandidateTarget];
  const valid = (choice: object, target: CandidateTarget) => isValid(site, choice as never, target);
  assert.ok(valid(tile, gpu));
  assert.ok(!valid({ ...tile, k_unroll: 32 }, gpu)); // 32 KiB of workgroup memory
  assert.ok(!valid({ ...tile, workgroup: [32, 16] }, gpu));
  assert.ok(!valid({ ...tile, splits: 2 }, gpu)); // only the gradient of a weight has slices
  const broadcast = { form: "broadcast", tile_m: 8, tile_n: 4, k_unroll: 4, workgroup: [16, 1] };
  assert.ok(valid(broadcast, llvmpipe) && !valid(broadcast, narrow) && !valid(broadcast, gpu));
});

for (const profile of ["llvmpipe512", "gpu"] as const) {
  Deno.test(`candidates compute what the default does: ${profile}`, () =>
    withGpu({ profile, operands: profile === "gpu" ? "buffer" : "texture" }, async (gpu) => {
      const sites = profile === "gpu" ? SITES.filter((_, i) => i % 2 === 0) : SITES;
      for (const [s, site] of sites.entries()) {
        const bench = await openBench(gpu, site);
        const all = candidates(site, candidateTarget(gpu));
        let expected: Float32Array | undefined;
        for (const i of [0, randomInt(3, s, 1, all.length)]) {
          const trial = await bench.trial(all[i]!);
          const result = await trial.result();
          trial.destroy();
          expected ??= result;
          assert.equal(bench.fault(result), undefined);
          assert.ok(result.some((value) => value !== 0));
          const tolerance = bench.tolerance(expected);
          result.forEach((value, k) =>
            assert.ok(Math.abs(value - expected![k]!) <= tolerance, JSON.stringify([site, all[i], k]))
          );
        }
        bench.destroy();
      }
    }));
}

Deno.test("the fastest right candidate wins, by a clear margin; a wrong one never does", () =>
  withGpu({}, async (gpu) => {
    const site = SITES.at(-1)!;
    const all = candidates(site, candidateTarget(gpu));
    const right = new Float32Array([1, 2, 3]);
    const open =
      (seconds: (index: number) => number, isWrong: (index: number) => boolean) => (): Promise<Bench> =>
        Promise.resolve({
          trial: (choice) => {
            const index = all.findIndex((other) => choiceKey(other) === choiceKey(choice));
            return Promise.resolve({
              time: () => Promise.resolve(seconds(index)),
              result: () => Promise.resolve(isWrong(index) ? new Float32Array([1, NaN, 3]) : right),
              destroy() {},
            });
          },
          fault: (result) => result === right ? undefined : "wrong",
          tolerance: () => 1e-6,
          destroy() {},
        });
    const find = async (
      seconds: (index: number) => number,
      isWrong: (index: number) => boolean = () => false,
    ) => {
      const sites = [{ site, calls: 1, flops: 1 }];
      const found = await tune(gpu, sites, { seconds: 60, open: open(seconds, isWrong) });
      return { ...found[0]!, winners: winners(found) };
    };
    const won = await find((i) => i === 7 ? 0.5 : i === 9 ? 0.1 : 1, (i) => i === 9);
    assert.deepEqual(won.winners, { [siteKey(site)]: all[7] });
    assert.deepEqual([won.default_seconds, won.seconds, won.wrong], [1, 0.5, 1]);
    assert.equal(won.tried, all.length);
    const close = await find((i) => i === 7 ? 0.98 : 1);
    assert.deepEqual([close.winners, close.seconds], [{}, 1]);
    await assert.rejects(find(() => 1, (i) => i === 0), /default kernel .* is wrong/);
  }));

Deno.test("the tuner keeps to its time, and a stop ends it with what was found", () =>
  withGpu({}, async (gpu) => {
    const sites = SITES.slice(0, 3).map((site) => ({ site, calls: 2, flops: 10 }));
    const none = await tune(gpu, sites, { seconds: 0 });
    assert.deepEqual(none.map(({ kernel, tried }) => [kernel, tried]), [[siteKey(SITES[0]!), 1]]);
    let asked = 0;
    const stopped = await tune(gpu, sites, { seconds: 60, isStopped: () => ++asked > 1 });
    assert.equal(stopped.length, 1);
  }));

Deno.test("a plan takes what was chosen for its kernels, says so, and is the same again with that", () => {
  const target: PlanTarget = {
    operands: "buffer",
    profile: "gpu",
    maxBindingBytes: 128 << 20,
    maxBufferBytes: 256 << 20,
    maxTextureSide: 8192,
    maxStorageTextures: 4,
    maxStorageBuffers: 8,
    hasSubgroups: false,
  };
  const planned = (choices?: Choices) => {
    const graph = new Graph();
    const parameter = (name: string, rows: number, cols: number) =>
      graph.parameter(name, rows === 1 ? rowsOf(1) : axis(rows), axis(cols));
    const y = linear(parameter("x", 8, 16), parameter("w", 16, 12), parameter("b", 1, 12));
    graph.output("y", y);
    const specs = graph.tensors.filter((t) => t.kind === "parameter").map((t) => ({ ...t, decay: true }));
    const on = { ...target, choices };
    return plan(graph, on, layoutParameters(specs, on)).dispatches;
  };
  const key = "matmul NN 8x12x16 bias";
  const standard = planned();
  assert.deepEqual(tuningSites(standard).map(({ site, calls }) => [siteKey(site), calls]), [[key, 1]]);
  const choice = { form: "direct", tile_m: 2, tile_n: 4, k_unroll: 4, workgroup: [32, 1] } as const;
  const tuned = planned({ [key]: { ...choice, workgroup: [32, 1] } });
  assert.notEqual(tuned[0]!.code, standard[0]!.code);
  assert.deepEqual(choicesOf(tuned), { [key]: choice });
  assert.equal(planned(choicesOf(standard))[0]!.code, standard[0]!.code);
  assert.equal(planned({ "matmul NN 9x12x16 bias": choice as never })[0]!.code, standard[0]!.code);
});
