/** What becomes of curves: smoothing, thinning, means over seeds and x axes, against direct calculation. */

import assert from "assert";
import fc from "fast-check";
import { axisOf } from "../../experiments/dashboard/axes.ts";
import { type Curve, meanAndSpread, smoothed, thinned } from "../../experiments/dashboard/curves.ts";
import { seedGroups } from "../../experiments/dashboard/series.ts";
import type { MetricSeries, RunEntry } from "../../experiments/mod.ts";

const near = (a: number, b: number) => Math.abs(a - b) <= 1e-12 * Math.max(1, Math.abs(a), Math.abs(b));

Deno.test("smoothed() is the weighted mean of all values so far", () => {
  const value = fc.double({ min: -100, max: 100, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 30 }),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      (ys, weight) => {
        const got = smoothed(Float64Array.from(ys), weight);
        ys.forEach((_, n) => {
          // Directly: value i of n has the weight w^(n - i), and the weights are divided by their sum.
          const weights = Array.from({ length: n + 1 }, (_, i) => weight ** (n - i));
          const sum = weights.reduce((a, b) => a + b, 0);
          const direct = weights.reduce((total, w, i) => total + w * ys[i]!, 0) / sum;
          assert.ok(Math.abs(got[n]! - direct) < 1e-9, `${got[n]} ${direct}`);
        });
      },
    ),
  );
});

Deno.test("smoothed() passes a NaN on and goes on after it as if it had not been", () => {
  const got = smoothed(Float64Array.of(2, NaN, 4), 0.5);
  assert.ok(Number.isNaN(got[1]!));
  assert.equal(got[2], smoothed(Float64Array.of(2, 4), 0.5)[1]);
});

Deno.test("thinned() keeps the first, last, least and largest point of each column of a screen, in order and each once", () => {
  const y = fc.oneof(
    { weight: 30, arbitrary: fc.double({ min: -5, max: 5, noNaN: true }) },
    { weight: 1, arbitrary: fc.constant(NaN) },
  );
  const ys = fc.array(y, { minLength: 1000, maxLength: 1500, size: "max" });
  fc.assert(
    fc.property(ys, fc.integer({ min: 1, max: 50 }), fc.boolean(), (ys, columns, isLog) => {
      const curve: Curve = { x: Float64Array.from(ys, (_, i) => i + 1), y: Float64Array.from(ys) };
      const kept = thinned(curve, columns, isLog);
      // A gap stays and ends a column, so that each may add one.
      const gaps = ys.filter(Number.isNaN).length;
      assert.ok(kept.x.length <= 4 * (columns + 1 + gaps) + gaps);
      assert.ok(kept.x.every((x, i) => i === 0 || x > kept.x[i - 1]!));
      kept.x.forEach((x, i) => assert.ok(Object.is(kept.y[i], ys[x - 1])));
      assert.deepEqual([kept.x[0], kept.x.at(-1)], [1, ys.length]);
      const finite = ys.filter(Number.isFinite);
      assert.ok(kept.y.includes(Math.min(...finite)) && kept.y.includes(Math.max(...finite)));
    }),
    { numRuns: 50 },
  );
});

Deno.test("thinned() leaves out what a logarithmic axis can't show, and points without an x", () => {
  const curve = { x: Float64Array.of(-1, 0, 1, NaN, 10), y: Float64Array.of(1, 2, 3, 4, 5) };
  assert.deepEqual([...thinned(curve, 10, true).x], [1, 10]);
  assert.deepEqual([...thinned(curve, 10).x], [-1, 0, 1, 10]);
});

Deno.test("meanAndSpread() is mean and sample deviation where curves share their x", () => {
  const x = Float64Array.of(0, 10, 20);
  const { mean, low, high } = meanAndSpread([
    { x, y: Float64Array.of(1, 2, 3) },
    { x, y: Float64Array.of(3, 4, 8) },
    { x, y: Float64Array.of(5, 0, 4) },
  ]);
  assert.deepEqual([...mean], [3, 2, 5]);
  // Deviations from the means: (-2, 0, 2), (0, 2, -2), (-2, 3, -1); squares over n - 1.
  const deviation = [2, 2, Math.sqrt(14 / 2)];
  deviation.forEach((d, i) => assert.ok(near(high[i]! - mean[i]!, d) && near(mean[i]! - low[i]!, d)));
});

Deno.test("meanAndSpread() interpolates between points, ends where a curve ends, and passes over what is not finite", () => {
  const long = { x: Float64Array.of(0, 5, 10, 15, 20), y: Float64Array.of(0, 5, 10, 15, 20) };
  const short = { x: Float64Array.of(0, 7, 10, 12), y: Float64Array.of(10, NaN, 20, 30) };
  const { x, mean } = meanAndSpread([long, short]);
  assert.deepEqual([...x], [0, 5, 10]);
  assert.deepEqual([...mean], [5, 10, 15]); // of short: 10, 15, 20
  assert.deepEqual([...meanAndSpread([]).x], []);
  assert.deepEqual([...meanAndSpread([{ x: Float64Array.of(1), y: Float64Array.of(2) }]).mean], [2]);
});

Deno.test("the time axis counts training alone: pauses before a resumption are taken out", () => {
  const at = (seconds: number) => Date.UTC(2026, 0, 1) + seconds * 1000;
  const iso = (seconds: number) => new Date(at(seconds)).toISOString();
  // Begun at 0, lines at 10, 20, 30; interrupted; on at 1000 from step 2, so that the line at 30 is set aside.
  const series: MetricSeries = {
    step: [1, 2, 3, 4],
    tokens: [8, 16, 24, 32],
    time: [10, 20, 1010, 1020].map(at),
    value: [4, 3, 2, 1],
  };
  const record = { created: iso(0), resumed: [{ step: 2, time: iso(1000) }, "nonsense"], flops_per_token: 5 };
  assert.deepEqual([...axisOf("time", record, [series])(series)], [10, 20, 30, 40]);
  assert.deepEqual([...axisOf("step", record, [series])(series)], [1, 2, 3, 4]);
  assert.deepEqual([...axisOf("tokens", record, [series])(series)], [8, 16, 24, 32]);
  assert.deepEqual([...axisOf("flops", record, [series])(series)], [40, 80, 120, 160]);
  assert.ok(axisOf("flops", {}, [series])(series).every(Number.isNaN));
});

Deno.test("seedGroups() puts together the runs that differ in nothing but seeds and names", () => {
  const run = (id: string, config: Record<string, unknown>) => ({ id, name: id, config }) as RunEntry;
  const groups = seedGroups([
    run("a", { "model.n_layer": 2, "training.seed": 1, "tracking.name": "x" }),
    run("b", { "model.n_layer": 4, "training.seed": 1 }),
    run("c", { "training.seed": 2, "model.n_layer": 2 }),
  ]);
  assert.deepEqual(groups.map(({ runs }) => runs.map(({ id }) => id)), [["a", "c"], ["b"]]);
});
