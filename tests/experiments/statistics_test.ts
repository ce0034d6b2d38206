/** The arithmetic by which differences are judged, against values that R gives. */

import assert from "assert";
import { holm, spreadOf, welch } from "../../experiments/report/statistics.ts";

const near = (actual: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);

// R's data set `sleep` (Cushny & Peebles 1905): hours of extra sleep with two drugs.
const DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2];
const DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];

Deno.test("welch() gives what R's t.test(extra ~ group, data = sleep) gives", () => {
  const found = welch(DRUG_1, DRUG_2)!;
  near(found.difference, 1.58, 1e-12);
  near(found.p, 0.07939414018735817, 1e-7);
  near(found.interval[0], -0.2054832, 1e-6);
  near(found.interval[1], 3.3654832, 1e-6);
  const reversed = welch(DRUG_2, DRUG_1)!;
  near(reversed.difference, -found.difference, 1e-12);
  near(reversed.p, found.p, 1e-12);
});

Deno.test("welch() with two seeds each: one degree of freedom is Cauchy's distribution, two have a closed form", () => {
  // Equal variances: v = 2·(n - 1) = 2, for which P(|T| > t) = 1 - t / √(2 + t²).
  const [a, b] = [[1, 2], [4, 5]];
  const found = welch(a, b)!;
  const t = 3 / Math.sqrt(0.25 + 0.25);
  near(found.p, 1 - t / Math.sqrt(2 + t * t), 1e-9);
  near(found.interval[0], 3 - 4.302652729749464 * Math.sqrt(0.5), 1e-6);
  // One variance is nothing beside the other: v is all but 1, for which P(|T| > t) = 1 - 2·atan(t) / π.
  const c = welch([0, 1e-9], [4, 5])!;
  const u = 4.5 / 0.5;
  near(c.p, 1 - 2 * Math.atan(u) / Math.PI, 1e-6);
});

Deno.test("welch() says nothing of single seeds, and knows seeds without any spread", () => {
  assert.equal(welch([1], [2, 3]), undefined);
  assert.equal(welch([], [2, 3]), undefined);
  assert.deepEqual(welch([1, 1], [2, 2]), { difference: 1, interval: [1, 1], p: 0 });
  assert.deepEqual(welch([1, 1], [1, 1]), { difference: 0, interval: [0, 0], p: 1 });
});

Deno.test("holm() gives what R's p.adjust(p, 'holm') gives, in the order of its input", () => {
  assert.deepEqual(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06]);
  assert.deepEqual(holm([0.5, 0.6]), [1, 1]);
  assert.deepEqual(holm([]), []);
});

Deno.test("spreadOf() has the sample's standard deviation, and none for one value", () => {
  const { std, ...others } = spreadOf([2, 4, 4, 4, 5, 5, 7, 9])!;
  assert.deepEqual(others, { n: 8, mean: 5, min: 2, max: 9 });
  near(std!, Math.sqrt(32 / 7), 1e-12);
  assert.deepEqual(spreadOf([3]), { n: 1, mean: 3, std: null, min: 3, max: 3 });
  assert.equal(spreadOf([]), null);
});
