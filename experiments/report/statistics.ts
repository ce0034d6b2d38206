/**
 * Which differences between variants are larger than the spread of their seeds. Student's distribution comes from jStat; here is
 * Welch's test (B. L. Welch, Biometrika 34, 1947) on top of it, and Holm's correction for many tests (S. Holm, Scand. J. Statist. 6,
 * 1979).
 */

import jstat from "jstat";

/** What is used of jStat, which has no types of its own. */
const { studentt } = (jstat as unknown as {
  jStat: {
    studentt: { cdf: (x: number, dof: number) => number; inv: (p: number, dof: number) => number };
  };
}).jStat;

/** A difference is taken for one of the variants when it would come up by chance less often than this. */
export const SIGNIFICANCE = 0.05;

/** How some values lie. */
export interface Spread {
  n: number;
  mean: number;
  /** Standard deviation, with n - 1; null for a single value. */
  std: number | null;
  min: number;
  max: number;
}

/** How values lie; null when there are none. */
export function spreadOf(values: readonly number[]): Spread | null {
  const n = values.length;
  if (n === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const std = n < 2 ? null : Math.sqrt(squares / (n - 1));
  return { n, mean, std, min: Math.min(...values), max: Math.max(...values) };
}

/** How far two means lie apart, as Welch's test sees it. */
export interface Difference {
  /** Mean of the second less mean of the first. */
  difference: number;
  /** Interval of the difference at 95 %. */
  interval: [number, number];
  /** How likely a difference at least as large would be if there were none, both ways. */
  p: number;
}

/**
 * Welch's test: whether two samples of unequal variance have different means; undefined when one has fewer than two values.
 *
 * @example
 * ```ts
 * import { welch } from "./statistics.ts";
 * console.log(welch([1, 2, 3, 4.2], [2, 3.5, 4, 5, 6])?.p.toFixed(4)); // 0.1529
 * ```
 */
export function welch(first: readonly number[], second: readonly number[]): Difference | undefined {
  const [a, b] = [spreadOf(first), spreadOf(second)];
  if (a?.std == null || b?.std == null) return undefined;
  const difference = b.mean - a.mean;
  const [va, vb] = [a.std ** 2 / a.n, b.std ** 2 / b.n]; // squared standard errors of the means
  const error = Math.sqrt(va + vb);
  // Without any spread, every difference is larger than the spread.
  if (error === 0) return { difference, interval: [difference, difference], p: difference === 0 ? 1 : 0 };
  const freedom = (va + vb) ** 2 / (va ** 2 / (a.n - 1) + vb ** 2 / (b.n - 1));
  const margin = error * studentt.inv(1 - SIGNIFICANCE / 2, freedom);
  const p = 2 * studentt.cdf(-Math.abs(difference) / error, freedom);
  return { difference, interval: [difference - margin, difference + margin], p: Math.min(1, p) };
}

/**
 * Holm's correction: p values such that, of all those below a limit, one is by chance no more often than the limit says.
 *
 * @example
 * ```ts
 * import { holm } from "./statistics.ts";
 * console.log(holm([0.01, 0.04, 0.03])); // [0.03, 0.06, 0.06]
 * ```
 */
export function holm(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const adjusted = new Array<number>(values.length);
  let largest = 0;
  order.forEach((index, rank) => {
    largest = Math.max(largest, Math.min(1, values[index]! * (values.length - rank)));
    adjusted[index] = largest;
  });
  return adjusted;
}
