/** Tokens that the device draws against those that the host's function draws from the same logits and random numbers. */

import assert from "assert";
import { uniform } from "../../common/mod.ts";
import { axis, type Gpu, Graph, KernelCache, ParameterStore, plan, Program, rowsOf } from "../../gpu/mod.ts";
import { BROKEN_LOGITS, SAMPLE_RING } from "../../gpu/mod.ts";
import { packSampling, sampled, sampleToken, type Sampling, samplingNumber } from "../../models/mod.ts";
import { identity } from "../../gpu/mod.ts";
import { withGpu } from "../gpu/support.ts";

const SETTINGS: Sampling[] = [
  { temperature: 0, top_k: 0, top_p: 1 },
  { temperature: 1, top_k: 0, top_p: 1 },
  { temperature: 0.8, top_k: 1, top_p: 1 },
  { temperature: 0.7, top_k: 40, top_p: 1 },
  { temperature: 1, top_k: 0, top_p: 0.9 },
  { temperature: 1.3, top_k: 40, top_p: 0.9 },
];

/** A function that draws SAMPLE_RING tokens from B rows of logits [B * V]. */
function sampler(gpu: Gpu, B: number, V: number) {
  const graph = new Graph();
  const state = graph.parameter("logits", rowsOf(B), axis(V, { multiple: 4 }));
  sampled(graph, identity(state), B, undefined);
  const specs = [{ name: "logits", rows: rowsOf(B), cols: axis(V), decay: false }];
  const store = new ParameterStore(gpu, specs, { training: false });
  const program = new Program(gpu, plan(graph, gpu, store.layout), store, new KernelCache(gpu));
  return async (logits: Float32Array, sampling: Sampling, randoms: Float32Array<ArrayBuffer>) => {
    store.write("logits", logits);
    store.syncMirrors();
    program.write("sampling", packSampling(sampling));
    program.write("randoms", randoms);
    program.runSteps(Array.from({ length: SAMPLE_RING }, (_, slot) => ({ slot })));
    return new Uint32Array((await program.read("tokens")).buffer);
  };
}

/** Draws with every setting, and compares. */
async function compare(gpu: Gpu, B: number, V: number, logits: Float32Array): Promise<void> {
  const draw = sampler(gpu, B, V);
  for (const sampling of SETTINGS) {
    const place = (i: number) => ({ seed: 3, sample: i % B, position: Math.floor(i / B) });
    const randoms = Float32Array.from({ length: SAMPLE_RING * B }, (_, i) => samplingNumber(place(i)));
    const tokens = await draw(logits, sampling, randoms);
    const expected = tokens.map((_, i) =>
      sampleToken(logits.subarray((i % B) * V, (i % B + 1) * V), sampling, place(i))
    );
    assert.deepEqual(tokens, expected, `V ${V}, ${JSON.stringify(sampling)}`);
  }
}

const noise = (count: number, width: number) =>
  Float32Array.from({ length: count }, (_, i) => width * (uniform(7, 1, i) + uniform(7, 2, i) - 1));

for (const profile of [undefined, "gpu"] as const) {
  Deno.test(`the device draws the host's tokens: ${profile ?? "own profile"}`, () =>
    withGpu(profile === undefined ? {} : { profile, operands: "buffer" }, async (gpu) => {
      await compare(gpu, 12, 65, noise(12 * 65, 6));
      await compare(gpu, 5, 96, noise(5 * 96, 12));
      await compare(gpu, 2, 50257, noise(2 * 50257, 9));
    }));

  Deno.test(`equal logits stay or go by their ids: ${profile ?? "own profile"}`, () =>
    withGpu(profile === undefined ? {} : { profile, operands: "buffer" }, async (gpu) => {
      const B = 6, V = 211;
      const steps = noise(B * V, 4).map((x) => Math.round(x)); // a few values, each often, more than 40 on a border
      await compare(gpu, B, V, steps);
    }));
}

Deno.test("a logit that is no number is marked", () =>
  withGpu({}, async (gpu) => {
    for (const wrong of [NaN, Infinity]) {
      const logits = noise(96, 3);
      logits[95] = wrong;
      const randoms = new Float32Array(SAMPLE_RING);
      for (const sampling of SETTINGS) {
        const [token] = await sampler(gpu, 1, 96)(logits, sampling, randoms);
        assert.equal(token, BROKEN_LOGITS);
      }
    }
  }));
