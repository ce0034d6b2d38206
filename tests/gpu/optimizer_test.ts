/** The optimizer against float64: AdamW, decay, clipping, cut ranges, steps that are skipped, texture copies. */

import assert from "assert";
import { axis, type Gpu, Graph, linear, Optimizer, ParameterStore, rowsOf } from "../../gpu/mod.ts";
import { readBuffer } from "../../gpu/readback.ts";
import { linear as linear64 } from "./float64.ts";
import { Adamw, type AdamwSettings } from "./float64_gpt.ts";
import { assertClose, kernelsOf, largest, openGraph, randomMatrix, withGpu } from "./support.ts";

/** Three matrices that decay, one of them with padded heads, and two vectors that do not. */
const SPECS = [
  { name: "w", rows: axis(11), cols: axis(7), decay: true },
  { name: "b", rows: rowsOf(1), cols: axis(7), decay: false },
  { name: "heads", rows: axis(5, { groups: 3 }), cols: axis(9), decay: true },
  { name: "v", rows: axis(20), cols: axis(8), decay: true },
  { name: "gain", rows: rowsOf(1), cols: axis(61), decay: false },
];
const SIZES = new Map(SPECS.map((s) => [s.name, s.rows.groups * s.rows.size * s.cols.size]));
const DECAYS = new Map(SPECS.map((s) => [s.name, s.decay]));
const RING = 4;
const SETTINGS: AdamwSettings = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, grad_clip: 0 };

function random(stream: number, scale = 1): Record<string, Float32Array<ArrayBuffer>> {
  return Object.fromEntries(
    [...SIZES].map(([name, n], i) => [name, randomMatrix(1, n, 10 * stream + i, scale)]),
  );
}

/** A store and its optimizer on a device. */
function open(gpu: Gpu, settings: AdamwSettings, values: Record<string, Float32Array>) {
  const store = new ParameterStore(gpu, SPECS, { training: true });
  for (const [name, data] of Object.entries(values)) store.write(name, data);
  store.syncMirrors();
  const optimizer = new Optimizer(gpu, store, kernelsOf(gpu), { ...settings, ring: RING });
  let t = 0;
  return {
    store,
    optimizer,
    /** One update; returns the reported norm. */
    async step(learning_rate: number, gradients: Record<string, Float32Array>): Promise<number> {
      for (const [name, data] of Object.entries(gradients)) store.write(name, data, "gradient");
      t++;
      optimizer.setStep({
        learning_rate,
        slot: t % RING,
        correction1: 1 - settings.beta1 ** t,
        correction2: 1 - settings.beta2 ** t,
      });
      const encoder = gpu.device.createCommandEncoder();
      optimizer.encode(encoder);
      gpu.device.queue.submit([encoder.finish()]);
      return new Float32Array(await readBuffer(gpu, optimizer.norms, 0, 4 * RING))[t % RING]!;
    },
    async read(): Promise<Record<string, Float32Array>> {
      const all: Record<string, Float32Array> = {};
      for (const plane of ["value", "exp_avg", "exp_avg_sq"] as const) {
        for (const { name } of SPECS) all[`${name} ${plane}`] = await store.read(name, plane);
      }
      return all;
    },
    close() {
      optimizer.destroy();
      store.destroy();
    },
  };
}

const CASES: [string, AdamwSettings, number][] = [
  ["plain", SETTINGS, 1],
  [
    "without decay, other betas",
    { ...SETTINGS, weight_decay: 0, beta1: 0.8, beta2: 0.999, epsilon: 1e-5 },
    1,
  ],
  ["clipped", { ...SETTINGS, grad_clip: 1 }, 1],
  ["clipped at more than the norm", { ...SETTINGS, grad_clip: 1 }, 1e-3],
  ["gradients of 1e-12", { ...SETTINGS, epsilon: 1e-10 }, 1e-12],
];

for (const [name, settings, scale] of CASES) {
  Deno.test(`AdamW over five steps: ${name}`, async () => {
    // The whole store in one range, and cut into three ranges that parameters lie across.
    for (const options of [{}, { operands: "buffer", maxBindingBytes: 768 }] as const) {
      await withGpu(options, async (gpu) => {
        const values = random(1);
        const opened = open(gpu, settings, values);
        const expected = new Adamw(values, settings, (name) => DECAYS.get(name)!);
        for (let t = 1; t <= 5; t++) {
          const gradients = random(1 + t, scale);
          const learning_rate = 0.01 * t;
          const norm = await opened.step(learning_rate, gradients);
          // The squares of each vec4 are summed first, then those of some 60 of them; the root halves what is lost.
          assertClose("norm", [norm], [expected.step(learning_rate, gradients)], 40);
        }
        const actual = await opened.read();
        opened.close();
        for (const { name } of SPECS) {
          // Some ten roundings a step; a clip factor that is off by those of the norm; an update is as large as the rate.
          const [m, v] = [expected.exp_avg[name]!, expected.exp_avg_sq[name]!];
          assertClose(`${name} exp_avg`, actual[`${name} exp_avg`]!, m, 40 + 50);
          assertClose(`${name} exp_avg_sq`, actual[`${name} exp_avg_sq`]!, v, 80 + 50);
          const value = expected.value[name]!;
          assertClose(name, actual[`${name} value`]!, value, 5 * 10, largest(value));
        }
      });
    }
  });
}

Deno.test("decay shrinks weights that decay and no others", async () => {
  await withGpu({}, async (gpu) => {
    const values = random(1);
    const opened = open(gpu, { ...SETTINGS, weight_decay: 0.5 }, values);
    const zeros = Object.fromEntries([...SIZES].map(([name, n]) => [name, new Float32Array(n)]));
    assert.equal(await opened.step(0.1, zeros), 0);
    const actual = await opened.read();
    opened.close();
    for (const { name, decay } of SPECS) {
      if (decay) assertClose(name, actual[`${name} value`]!, values[name]!.map((v) => 0.95 * v), 2);
      else assert.deepEqual(actual[`${name} value`], values[name]);
    }
  });
});

Deno.test("a step whose gradients are not finite changes nothing, and the next one goes on", async () => {
  for (
    const [what, wrong] of [["NaN", NaN], ["Infinity", Infinity], ["-Infinity", -Infinity], [
      "1e30",
      1e30,
    ]] as const
  ) {
    await withGpu({}, async (gpu) => {
      const opened = open(gpu, { ...SETTINGS, grad_clip: 1 }, random(1));
      await opened.step(0.01, random(2));
      const before = await opened.read();
      const gradients = random(3);
      gradients.gain![60] = wrong;
      const norm = await opened.step(0.01, gradients);
      assert(!Number.isFinite(norm), `${what}: norm ${norm}`);
      const after = await opened.read();
      for (const [name, data] of Object.entries(after)) {
        assert.deepEqual(
          new Uint32Array(data.buffer),
          new Uint32Array(before[name]!.buffer),
          `${what}: ${name}`,
        );
      }
      assert(Number.isFinite(await opened.step(0.01, random(4))));
      const later = await opened.read();
      for (const [name, data] of Object.entries(later)) {
        assert.notDeepEqual(data, before[name], `${what}: ${name}`);
        assert(data.every(Number.isFinite), `${what}: ${name}`);
      }
      opened.close();
    });
  }
});

Deno.test("programs see the updated weights, through texture copies too", async () => {
  const [M, K, N] = [3, 70, 9];
  const graph = new Graph();
  const x = graph.parameter("x", rowsOf(M), axis(K));
  const w = graph.parameter("w", axis(K), axis(N));
  graph.output("y", linear(x, w, graph.parameter("b", rowsOf(1), axis(N))));
  const parameters = {
    x: randomMatrix(M, K, 1),
    w: randomMatrix(K, N, 2),
    b: randomMatrix(1, N, 3),
  };
  for (
    const options of [{ operands: "buffer" }, { operands: "texture" }, {
      operands: "texture",
      maxTextureSide: 32,
    }] as const
  ) {
    await withGpu(options, async (gpu) => {
      const opened = openGraph(gpu, graph, parameters);
      const optimizer = new Optimizer(gpu, opened.store, kernelsOf(gpu), { ...SETTINGS, ring: 1 });
      await opened.run({});
      for (const [name, data] of Object.entries(parameters)) opened.store.write(name, data, "gradient");
      optimizer.setStep({ learning_rate: 0.5, correction1: 0.1, correction2: 0.05 });
      const encoder = gpu.device.createCommandEncoder();
      optimizer.encode(encoder);
      gpu.device.queue.submit([encoder.finish()]);
      const { outputs } = await opened.run({});
      const p: Record<string, Float32Array> = {};
      for (const name of ["x", "w", "b"]) p[name] = await opened.store.read(name);
      assert.notDeepEqual(p.w, parameters.w);
      const expected = linear64({ M, K, N }, p.x!, p.w!, p.b!);
      assertClose("y", outputs.y!, expected, K + 1, K * largest(p.x!) * largest(p.w!));
      optimizer.destroy();
      opened.close();
    });
  }
});

Deno.test("encodeClear zeroes all gradients", async () => {
  await withGpu({}, async (gpu) => {
    const opened = open(gpu, SETTINGS, random(1));
    for (const [name, data] of Object.entries(random(2))) opened.store.write(name, data, "gradient");
    const encoder = gpu.device.createCommandEncoder();
    opened.optimizer.encodeClear(encoder);
    gpu.device.queue.submit([encoder.finish()]);
    for (const { name } of SPECS) {
      assert.deepEqual(await opened.store.read(name, "gradient"), new Float32Array(SIZES.get(name)!));
      assert.deepEqual(await opened.store.read(name), random(1)[name]);
    }
    opened.close();
  });
});
