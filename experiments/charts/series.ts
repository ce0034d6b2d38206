/** From a run's lines to series for charts, and from the series of several seeds to their mean and spread. */

import type { Point, Series } from "./line_chart.ts";

/**
 * A series out of lines such as `readMetrics` returns. Lines without the key are passed over; null, which stands for NaN and
 * Infinity in JSON, is a gap.
 *
 * @param y the key to show, such as `train_loss`
 * @param options x: the key that it goes over, `step` when left out; name: of the series, y when left out
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
  lines: readonly object[],
  y: string,
  { x = "step", name = y }: { x?: string; name?: string } = {},
): Series {
  const number = (value: unknown) => typeof value === "number" ? value : NaN;
  const points = (lines as readonly Record<string, unknown>[])
    .filter((line) => line[y] !== undefined && line[x] !== undefined)
    .map((line) => ({ x: number(line[x]), y: number(line[y]) }));
  return { name, points };
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
