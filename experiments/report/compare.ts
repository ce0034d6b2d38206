/** The differences between variants, and which of them are larger than the spread of their seeds. */

import { type Metric, METRIC_INFO } from "../runner/metrics.ts";
import type { ReportedExperiment, ReportedVariant } from "./collect.ts";
import { holm, SIGNIFICANCE, welch } from "./statistics.ts";

/** More variants than this are compared with the best alone, since all pairs would be too many to see a difference. */
const ALL_PAIRS = 6;

/** Two variants compared by a metric. */
export interface Comparison {
  first: string;
  second: string;
  /** Mean of the second less mean of the first. */
  difference: number;
  /** Interval of the difference at 95 %; null where one of the two has a single seed. */
  interval: [number, number] | null;
  /** Of Welch's test, after Holm's correction; null likewise. */
  p: number | null;
  /** Whether the difference is larger than the spread of the seeds; null where nothing can be said. */
  larger: boolean | null;
}

/** What the reports say of how they decide. */
export const RULE =
  "A difference counts as larger than the spread of the seeds when Welch's t test of the two means, both ways, " +
  `gives p < ${SIGNIFICANCE} after Holm's correction for all comparisons by that metric. Intervals are 95 % intervals of the ` +
  "difference, each for itself. Where a variant has a single seed nothing can be said.";

/**
 * Compares the variants that came to their end, by a metric: all pairs, or, of many, each with the best one.
 *
 * @returns in the order of the variants; empty where there is nothing to compare
 */
export function compare({ variants }: ReportedExperiment, metric: Metric): Comparison[] {
  const ended = variants.filter((variant) => variant.values(metric).length > 0);
  const pairs = ended.length <= ALL_PAIRS
    ? ended.flatMap((first, i) => ended.slice(i + 1).map((second) => [first, second] as const))
    : ended.flatMap((second) =>
      second === bestOf(ended, metric) ? [] : [[bestOf(ended, metric)!, second] as const]
    );
  const tests = pairs.map(([first, second]) => welch(first.values(metric), second.values(metric)));
  const known = tests.flatMap((test) => test ?? []);
  const adjusted = holm(known.map(({ p }) => p));
  return pairs.map(([first, second], i) => {
    const test = tests[i];
    const p = test === undefined ? null : adjusted[known.indexOf(test)]!;
    return {
      first: first.plan.name,
      second: second.plan.name,
      difference: second.spread(metric)!.mean - first.spread(metric)!.mean,
      interval: test?.interval ?? null,
      p,
      larger: p === null ? null : p < SIGNIFICANCE,
    };
  });
}

/** The variant of the best mean; of equal ones the first. Undefined where none came to its end. */
export function bestOf(
  variants: readonly ReportedVariant[],
  metric: Metric,
): ReportedVariant | undefined {
  const sign = METRIC_INFO[metric].better === "less" ? 1 : -1;
  let best: ReportedVariant | undefined;
  for (const variant of variants) {
    const spread = variant.spread(metric);
    if (spread === null) continue;
    if (best === undefined || sign * spread.mean < sign * best.spread(metric)!.mean) best = variant;
  }
  return best;
}
