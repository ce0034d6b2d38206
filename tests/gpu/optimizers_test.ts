/** Lion, gradient descent and Muon against their papers' formulas in float64, over several steps. */

import assert from "assert";
import type { OptimizerOptions } from "../../gpu/mod.ts";
import { clipFactor, lion, muon, newtonSchulz, type Rows, sgd } from "./float64_optimizers.ts";
import { Adamw } from "./float64_gpt.ts";
import { DECAYS, openOptimizer, random, SETTINGS, SIZES, SMALL_BINDING, SPECS } from "./optimizer_support.ts";
import { assertClose, largest, randomMatrix, testOperands, withGpu } from "./support.ts";

const STEPS = 5;
const rateOf = (t: number) => 0.01 * t;

/** The whole store in one range, and cut into several. */
const CUTS = [{}, { operands: "buffer", maxBindingBytes: SMALL_BINDING }] as const;

/** Roundings of a clip factor, of the state and of the weight over all steps, as for AdamW. */
const ROUNDINGS = 90;

const numbers = () => Object.fromEntries([...SIZES].map(([name, n]) => [name, new Float64Array(n)]));

/** An element before an update: weight, the one number that is kept for it, clipped gradient. */
interface Element {
  value: number;
  kept: number;
  g: number;
}

/**
 * Takes five steps with an optimizer that keeps one number for each weight, on the device and in float64, in every cut.
 *
 * @param plane the name of what is kept
 * @param update the paper's formula for one element
 */
async function compareSteps(
  settings: OptimizerOptions,
  plane: "exp_avg" | "momentum_buffer",
  update: (at: Element, step: { rate: number; decay: number; factor: number }) => Omit<Element, "g">,
): Promise<void> {
  for (const options of CUTS) {
    await withGpu(options, async (gpu) => {
      const opened = openOptimizer(gpu, settings, random(1));
      const kept = numbers();
      const value = Object.fromEntries(
        Object.entries(random(1)).map(([name, data]) => [name, Float64Array.from(data)]),
      );
      for (let t = 1; t <= STEPS; t++) {
        const gradients = random(1 + t);
        await opened.step(rateOf(t), gradients);
        const factor = clipFactor(gradients, settings.grad_clip);
        for (const [name, n] of SIZES) {
          const decay = DECAYS.get(name)! ? settings.weight_decay : 0;
          for (let i = 0; i < n; i++) {
            const at = { value: value[name]![i]!, kept: kept[name]![i]!, g: factor * gradients[name]![i]! };
            const after = update(at, { rate: rateOf(t), decay, factor });
            value[name]![i] = after.value;
            kept[name]![i] = after.kept;
          }
        }
      }
      const actual = await opened.read();
      opened.close();
      for (const { name } of SPECS) {
        assertClose(name, actual[`${name} value`]!, value[name]!, ROUNDINGS);
        assertClose(`${name} ${plane}`, actual[`${name} ${plane}`]!, kept[name]!, ROUNDINGS);
      }
    });
  }
}

for (const grad_clip of [0, 1]) {
  const clipped = grad_clip > 0 ? "clipped" : "plain";

  Deno.test(`Lion over five steps: ${clipped}`, async () => {
    const settings: OptimizerOptions = { ...SETTINGS, optimizer: "lion", beta2: 0.99, grad_clip };
    await compareSteps(settings, "exp_avg", ({ value, kept, g }, { rate, decay, factor }) => {
      const after = lion({ value, m: kept, g }, { rate, beta1: 0.9, beta2: 0.99, decay });
      assert(Math.abs(after.direction) > 1e-6 * factor, "a sign that rounding decides");
      return { value: after.value, kept: after.m };
    });
  });

  Deno.test(`SGD with momentum over five steps: ${clipped}`, async () => {
    const settings: OptimizerOptions = { ...SETTINGS, optimizer: "sgd", momentum: 0.8, grad_clip };
    await compareSteps(settings, "momentum_buffer", ({ value, kept, g }, { rate, decay }) => {
      const after = sgd({ value, b: kept, g }, { rate, momentum: 0.8, decay });
      return { value: after.value, kept: after.b };
    });
  });
}

/** The matrices of a parameter, rows of numbers each. */
function matricesOf({ rows, cols, matrices = [] }: typeof SPECS[number], data: ArrayLike<number>): Rows[] {
  const width = cols.groups * cols.size;
  let first = 0;
  return matrices.map((groups) => {
    const own = groups * cols.size;
    const from = first;
    first += own;
    return Array.from(
      { length: rows.groups * rows.size },
      (_, r) => Array.from({ length: own }, (_, c) => data[r * width + from + c]!),
    );
  });
}

/** The inverse of `matricesOf`. */
function joined(matrices: Rows[]): number[] {
  return matrices[0]!.flatMap((_, r) => matrices.flatMap((matrix) => matrix[r]!));
}

/**
 * Newton-Schulz's first factor is 3.4445, so five rounds magnify what rounding does to a small singular value by up to
 * 3.4445^5 = 485; each of the 15 products brings a rounding a term.
 */
const ORTHOGONAL_ROUNDINGS = 485 * 20;

testOperands("Muon over three steps: hidden matrices orthogonal, the rest by AdamW", async (gpu) => {
  const settings: OptimizerOptions = { ...SETTINGS, optimizer: "muon", momentum: 0.9, grad_clip: 1 };
  const opened = openOptimizer(gpu, settings, random(1));
  const adamw = new Adamw(random(1), settings, (name) => DECAYS.get(name)!);
  const hidden = SPECS.filter(({ matrices }) => matrices !== undefined);
  const values = new Map(hidden.map((spec) => [spec.name, matricesOf(spec, random(1)[spec.name]!)]));
  const buffers = new Map(hidden.map((spec) => [spec.name, matricesOf(spec, numbers()[spec.name]!)]));
  const learnt: number[] = [];
  for (let t = 1; t <= 3; t++) {
    const gradients = random(1 + t);
    learnt.push(await opened.step(rateOf(t), gradients));
    adamw.step(rateOf(t), gradients);
    const factor = clipFactor(gradients, 1);
    for (const spec of hidden) {
      const g = matricesOf(spec, gradients[spec.name]!.map((x) => factor * x));
      const after = g.map((g, i) =>
        muon({ value: values.get(spec.name)![i]!, b: buffers.get(spec.name)![i]!, g }, {
          rate: rateOf(t),
          momentum: 0.9,
          decay: settings.weight_decay,
        })
      );
      values.set(spec.name, after.map(({ value }) => value));
      buffers.set(spec.name, after.map(({ b }) => b));
    }
  }
  assert(learnt.every((norm) => norm > 1), "clipping is at work");
  const actual = await opened.read();
  opened.close();
  for (const { name, matrices } of SPECS) {
    if (matrices === undefined) {
      assertClose(name, actual[`${name} value`]!, adamw.value[name]!, ROUNDINGS, largest(adamw.value[name]!));
      assertClose(`${name} exp_avg`, actual[`${name} exp_avg`]!, adamw.exp_avg[name]!, ROUNDINGS);
      assert.equal(actual[`${name} momentum_buffer`], undefined);
    } else {
      const buffer = joined(buffers.get(name)!);
      assertClose(`${name} momentum`, actual[`${name} momentum_buffer`]!, buffer, ROUNDINGS);
      // A step moves no weight further than the rate, or not much.
      const moved = rateOf(1) + rateOf(2) + rateOf(3);
      assertClose(name, actual[`${name} value`]!, joined(values.get(name)!), ORTHOGONAL_ROUNDINGS, moved);
      assert.equal(actual[`${name} exp_avg`], undefined);
    }
  }
});

Deno.test("the oracle's Newton-Schulz brings singular values near 1 and keeps the directions", () => {
  for (const [rows, cols] of [[5, 9], [9, 5], [7, 7]] as const) {
    const data = randomMatrix(rows, cols, 3);
    const g = Array.from({ length: rows }, (_, r) => Array.from(data.subarray(r * cols, (r + 1) * cols)));
    const o = newtonSchulz(g);
    // Of an orthogonal matrix the squares sum to the shorter side; here each singular value is within 0.7 … 1.2.
    const squares = o.flat().reduce((sum, x) => sum + x * x, 0);
    const shorter = Math.min(rows, cols);
    assert(squares > 0.6 * shorter && squares < 1.45 * shorter, `${squares} of ${shorter}`);
    // It is a function of G·Gᵀ times G, so O·Gᵀ is symmetric.
    const product = o.map((row) => g.map((other) => row.reduce((sum, x, k) => sum + x * other[k]!, 0)));
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < i; j++) assert(Math.abs(product[i]![j]! - product[j]![i]!) < 1e-9);
    }
  }
});
