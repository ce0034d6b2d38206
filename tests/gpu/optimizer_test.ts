/** AdamW against float64, and what all optimizers have in common: decay, cut ranges, steps that are skipped, texture copies. */

import assert from "assert";
import { axis, Graph, linear, Optimizer, OPTIMIZERS, rowsOf } from "../../gpu/mod.ts";
import { linear as linear64 } from "./float64.ts";
import { Adamw, type AdamwSettings } from "./float64_gpt.ts";
import {
  DECAYS,
  openOptimizer as open,
  random,
  SETTINGS,
  SIZES,
  SMALL_BINDING,
  SPECS,
  zeros,
} from "./optimizer_support.ts";
import { assertClose, kernelsOf, largest, openGraph, randomMatrix, withGpu } from "./support.ts";

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
    for (const options of [{}, { operands: "buffer", maxBindingBytes: SMALL_BINDING }] as const) {
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

for (const optimizer of OPTIMIZERS) {
  Deno.test(`${optimizer}: decay shrinks weights that decay and no others`, async () => {
    await withGpu({}, async (gpu) => {
      const values = random(1);
      const opened = open(gpu, { ...SETTINGS, optimizer, weight_decay: 0.5 }, values);
      assert.equal(await opened.step(0.1, zeros()), 0);
      const actual = await opened.read();
      opened.close();
      for (const { name, decay } of SPECS) {
        const value = actual[`${name} value`]!;
        if (decay) assertClose(name, value, values[name]!.map((v) => 0.95 * v), 2);
        else assert.deepEqual(value, values[name]);
      }
    });
  });

  Deno.test(`${optimizer}: a step whose gradients are not finite changes nothing, and the next one goes on`, async () => {
    await withGpu({}, async (gpu) => {
      const bits = ({ buffer, byteOffset, byteLength }: Float32Array | Uint8Array) =>
        new Uint8Array(buffer, byteOffset, byteLength);
      for (const wrong of [NaN, Infinity, -Infinity, 1e30]) {
        const opened = open(gpu, { ...SETTINGS, optimizer, grad_clip: 1 }, random(1));
        await opened.step(0.01, random(2));
        const before = await opened.read();
        const gradients = random(3);
        gradients.gain![60] = wrong;
        const norm = await opened.step(0.01, gradients);
        assert(!Number.isFinite(norm), `${wrong}: norm ${norm}`);
        const after = await opened.read();
        for (const [name, data] of Object.entries(after)) {
          assert.deepEqual(bits(data), bits(before[name]!), `${wrong}: ${name}`);
        }
        assert(Number.isFinite(await opened.step(0.01, random(4))));
        const later = await opened.read();
        for (const [name, data] of Object.entries(later)) {
          assert.notDeepEqual(data, before[name], `${wrong}: ${name}`);
          assert(data.every(Number.isFinite), `${wrong}: ${name}`);
        }
        opened.close();
      }
    });
  });
}

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
