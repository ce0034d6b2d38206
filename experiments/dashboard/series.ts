/** Curves as the page draws them: on the axis that was asked for, smoothed, thinned, with the best point and the seams. */

import type { MetricSeries } from "../reading/metric_series.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import type { Series, SpreadSeries, XAxis } from "./api_types.ts";
import { type AxisOf, axisOf, resumptions } from "./axes.ts";
import { type Curve, meanAndSpread, smoothed, thinned } from "./curves.ts";

/** How curves are wanted. */
export interface CurveOptions {
  x: XAxis;
  /** Weight of the past in the average, 0 to below 1; 0: as measured. */
  smoothing: number;
  /** Columns of pixels to draw in. */
  buckets: number;
  /** Whether x is drawn on a logarithmic axis. */
  logX: boolean;
  /** Whether the curve before smoothing is wanted too. */
  raw: boolean;
}

/** Of fewer points, such as those of evaluations, each counts: they are not smoothed. */
const LEAST_TO_SMOOTH = 40;

/** Names of metrics of which less is better, and of which more is. */
const LESS_IS_BETTER = /loss|perplexity|bits_per|error/;
const MORE_IS_BETTER = /accuracy|per_second|mfu|score/;

/** The curves of some metrics of a run; a metric that it lacks has none. */
export function runCurves(
  { id, record }: RunEntry,
  all: ReadonlyMap<string, MetricSeries>,
  names: string[],
  options: CurveOptions,
): Series[] {
  const axis = axisOf(options.x, record, all.values());
  const seams = seamsOf(record, all, axis);
  return names.flatMap((metric) => {
    const series = all.get(metric);
    return series === undefined ? [] : [{ run: id, metric, seams, ...drawn(series, metric, axis, options) }];
  });
}

function drawn(series: MetricSeries, metric: string, axis: AxisOf, options: CurveOptions) {
  const whole: Curve = { x: axis(series), y: Float64Array.from(series.value) };
  const thin = (curve: Curve) => points(thinned(curve, options.buckets, options.logX));
  const smooth = options.smoothing > 0 && series.value.length >= LEAST_TO_SMOOTH
    ? { x: whole.x, y: smoothed(whole.y, options.smoothing) }
    : whole;
  return {
    ...thin(smooth),
    ...(options.raw && smooth !== whole ? { raw: thin(whole) } : {}),
    best: bestPoint(series, metric, whole.x),
    count: series.value.length,
  };
}

/** Plain lists for JSON, which writes NaN as null; six digits draw the same picture in half the bytes. */
function points({ x, y }: Curve): { x: number[]; y: number[] } {
  return { x: Array.from(x), y: Array.from(y, (value) => Number(value.toPrecision(6))) };
}

function bestPoint({ step, value }: MetricSeries, metric: string, x: Float64Array): Series["best"] {
  const sign = LESS_IS_BETTER.test(metric) ? 1 : MORE_IS_BETTER.test(metric) ? -1 : 0;
  if (sign === 0) return null;
  let best = -1;
  value.forEach((v, i) => {
    if (Number.isFinite(v) && (best < 0 || sign * v < sign * value[best]!)) best = i;
  });
  return best < 0 ? null : { step: step[best]!, x: x[best]!, y: value[best]! };
}

/** Where on the axis the run was resumed: at the last line of the checkpoint's step or before it. */
function seamsOf(
  record: RunEntry["record"],
  all: ReadonlyMap<string, MetricSeries>,
  axis: AxisOf,
): number[] {
  const longest = all.values().reduce(
    (most: MetricSeries | undefined, series) =>
      most === undefined || series.step.length > most.step.length ? series : most,
    undefined,
  );
  if (longest === undefined) return [];
  const x = axis(longest);
  return resumptions(record).flatMap(({ step }) => {
    const at = x[longest.step.findLastIndex((s) => s <= step)];
    return at === undefined || !Number.isFinite(at) ? [] : [at];
  });
}

/**
 * Mean and spread of a metric over the runs of each group.
 *
 * @param curvesOf a run's metric, or undefined where it lacks that
 */
export function groupSpreads(
  groups: { label: string; runs: RunEntry[] }[],
  metric: string,
  allOf: (run: RunEntry) => ReadonlyMap<string, MetricSeries>,
  options: CurveOptions,
): SpreadSeries[] {
  return groups.map(({ label, runs }) => {
    const curves = runs.flatMap((run) => {
      const all = allOf(run);
      const series = all.get(metric);
      if (series === undefined) return [];
      const x = axisOf(options.x, run.record, all.values())(series);
      return [{ x, y: smoothed(Float64Array.from(series.value), options.smoothing) }];
    });
    const { x, mean, low, high } = meanAndSpread(curves);
    const thin = (y: Float64Array) => thinned({ x, y }, options.buckets, options.logX);
    const kept = thin(mean);
    const at = new Map(Array.from(x, (value, i) => [value, i]));
    const pick = (y: Float64Array) => Array.from(kept.x, (value) => y[at.get(value)!]!);
    return {
      label,
      runs: runs.map(({ id }) => id),
      metric,
      x: Array.from(kept.x),
      mean: Array.from(kept.y),
      low: pick(low),
      high: pick(high),
    };
  });
}

/** Runs that share their configuration but for the seed, the largest groups first. */
export function seedGroups(runs: RunEntry[]): { label: string; runs: RunEntry[] }[] {
  const groups = Map.groupBy(runs, ({ config }) => {
    const rest = Object.entries(config).filter(([key]) => !SEED_KEYS.has(key));
    return JSON.stringify(rest.sort(([a], [b]) => a < b ? -1 : 1));
  });
  return [...groups.values()].map((members) => ({ label: members[0]!.name, runs: members }))
    .sort((a, b) => b.runs.length - a.runs.length);
}

/** What may differ between the runs of a group. */
const SEED_KEYS = new Set(["training.seed", "generation.seed", "tracking.name", "tracking.runs_dir"]);
