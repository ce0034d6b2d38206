/**
 * What becomes of a curve before it is drawn: smoothed over all its points, then thinned to what a screen can show, and
 * curves of several seeds as their mean and spread. Pure functions over x and y of one length.
 */

import { thinned as thinnedPoints } from "../charts/thin.ts";

/** A curve: y over x, in the order of the lines; y is NaN where the value was not finite. */
export interface Curve {
  x: Float64Array;
  y: Float64Array;
}

/**
 * Exponential moving average without the pull towards 0 at its beginning: the weights of the past are divided by their
 * sum (as Adam does, Kingma and Ba 2015, section 3). NaN is passed on and does not enter the average.
 *
 * @param weight of the past, at least 0 and below 1; 0 changes nothing
 *
 * @example
 * ```ts
 * import { smoothed } from "./curves.ts";
 * smoothed(Float64Array.of(2, 4), 0.5); // [2, 3.333…]: (0.5 · 1 + 2) / 0.75
 * ```
 */
export function smoothed(y: Float64Array, weight: number): Float64Array {
  let average = 0;
  let total = 0; // 1 - weight ** n
  return y.map((value) => {
    if (Number.isNaN(value)) return value;
    average = weight * average + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return average / total;
  });
}

/**
 * The points of a curve that draw the same picture in `columns` columns of a screen (`../charts/thin.ts`): of each the first
 * and last, the least and largest. Gaps stay, and so do short curves as a whole.
 *
 * @param isLog whether x will be drawn on a logarithmic axis; points at x <= 0 are left out then
 */
export function thinned({ x, y }: Curve, columns: number, isLog = false): Curve {
  const at = isLog ? x.map(Math.log) : x;
  const rows: number[] = [];
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < at.length; i++) {
    const place = at[i]!;
    if (!Number.isFinite(place)) continue;
    rows.push(i);
    if (place < low) low = place;
    if (place > high) high = place;
  }
  const perUnit = columns / 2 / (high - low || 1); // a column is half a pixel wide
  const points = rows.map((row) => ({ x: (at[row]! - low) * perUnit, y: y[row]!, row }));
  return pick({ x, y }, thinnedPoints(points).map(({ row }) => row));
}

function pick({ x, y }: Curve, rows: readonly number[]): Curve {
  return { x: Float64Array.from(rows, (i) => x[i]!), y: Float64Array.from(rows, (i) => y[i]!) };
}

/** Mean and spread of curves over the x that they share. */
export interface Spread {
  x: Float64Array;
  mean: Float64Array;
  /** Mean less and plus the sample's standard deviation. */
  low: Float64Array;
  high: Float64Array;
}

/**
 * Mean and standard deviation (of a sample: n - 1) of several curves, such as those of several seeds. They are taken at the
 * x of the curve with the most points, as far as all curves reach; the others are interpolated linearly. Points that are
 * not finite are left out of a curve first.
 */
export function meanAndSpread(curves: Curve[]): Spread {
  const finite = curves.map(finitePoints).filter(({ x }) => x.length > 0);
  const none = new Float64Array(0);
  if (finite.length === 0) return { x: none, mean: none, low: none, high: none };
  const begin = Math.max(...finite.map(({ x }) => x[0]!));
  const end = Math.min(...finite.map(({ x }) => x.at(-1)!));
  const grid = finite.reduce((most, curve) => curve.x.length > most.x.length ? curve : most).x
    .filter((x) => x >= begin && x <= end);
  const rows = finite.map((curve) => interpolated(curve, grid));
  const n = rows.length;
  const mean = grid.map((_, i) => rows.reduce((sum, y) => sum + y[i]!, 0) / n);
  const deviation = grid.map((_, i) =>
    n < 2 ? 0 : Math.sqrt(rows.reduce((sum, y) => sum + (y[i]! - mean[i]!) ** 2, 0) / (n - 1))
  );
  return {
    x: grid,
    mean,
    low: mean.map((m, i) => m - deviation[i]!),
    high: mean.map((m, i) => m + deviation[i]!),
  };
}

function finitePoints({ x, y }: Curve): Curve {
  const rows = Array.from(x.keys()).filter((i) => Number.isFinite(x[i]!) && Number.isFinite(y[i]!));
  return pick({ x, y }, rows);
}

/** A curve's y at every x of the grid, which lies within the curve and rises. */
function interpolated({ x, y }: Curve, grid: Float64Array): Float64Array {
  let i = 0;
  return grid.map((at) => {
    while (i < x.length - 2 && x[i + 1]! <= at) i++;
    const [x0, x1] = [x[i]!, x[i + 1] ?? x[i]!];
    const [y0, y1] = [y[i]!, y[i + 1] ?? y[i]!];
    return x1 === x0 ? (at >= x1 ? y1 : y0) : y0 + (y1 - y0) * (at - x0) / (x1 - x0);
  });
}
