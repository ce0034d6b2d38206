/** From a run's lines to series for charts, and from the series of several seeds to their mean and spread. */

import type { MetricSeries } from "../reading/metric_series.ts";
import type { Point, Series } from "./line_chart.ts";

/**
 * One metric as a series: out of what `readMetrics` returns, or out of lines as a session's `metrics` holds them. Where it was
 * not measured there is no point; NaN, and null, which stands for it in JSON, is a gap.
 *
 * @param y the metric to show, such as `train_loss`
 * @param options x: what it goes over, `step` when left out; name: of the series, y when left out
 *
 * @example
 * ```ts
 * import assert from "assert";
 * import { seriesOf } from "./series.ts";
 * const lines = [{ step: 10, train_loss: 4.2 }, { step: 10, val_loss: 4.1 }, { step: 20, train_loss: 3.9 }];
 * assert.deepEqual(seriesOf(lines, "train_loss").points, [{ x: 10, y: 4.2 }, { x: 20, y: 3.9 }]);
 * ```
 */
export function seriesOf(
  measured: readonly object[] | Readonly<Record<string, MetricSeries>>,
  y: string,
  { x = "step", name = y }: { x?: string; name?: string } = {},
): Series {
  if (!isLines(measured)) return { name, points: pointsOf(measured[y], x) };
  const number = (value: unknown) => typeof value === "number" ? value : NaN;
  const points = (measured as readonly Record<string, unknown>[])
    .filter((line) => line[y] !== undefined && line[x] !== undefined)
    .map((line) => ({ x: number(line[x]), y: number(line[y]) }));
  return { name, points };
}

function isLines(measured: object): measured is readonly object[] {
  return Array.isArray(measured);
}

function pointsOf(metric: MetricSeries | undefined, x: string): Point[] {
  if (metric === undefined) return [];
  if (x !== "step" && x !== "tokens" && x !== "time") return [];
  return metric.value.map((y, i) => ({ x: metric[x][i]!, y }));
}

/**
 * Mean of several series at each x that all of them have, with the least and the largest as its spread.
 *
 * @param name of the new series
 *
 * @example
 * ```ts
 * import assert from "assert";
 * import { spreadOf } from "./series.ts";
 * const seeds = [1.5, 1.7].map((y) => ({ name: "", points: [{ x: 10, y }] }));
 * assert.deepEqual(spreadOf("lion", seeds).points, [{ x: 10, y: 1.6, low: 1.5, high: 1.7 }]);
 * ```
 */
export function spreadOf(name: string, series: readonly Series[]): Series {
  const at = new Map<number, number[]>();
  for (const { points } of series) {
    for (const { x, y } of points) {
      if (Number.isFinite(y)) at.set(x, [...at.get(x) ?? [], y]);
    }
  }
  const points: Point[] = [...at].filter(([, ys]) => ys.length === series.length).sort(([a], [b]) => a - b)
    .map(([x, ys]) => ({
      x,
      y: ys.reduce((sum, y) => sum + y, 0) / ys.length,
      low: Math.min(...ys),
      high: Math.max(...ys),
    }));
  return { name, points };
}
