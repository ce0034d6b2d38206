/** Curves on a terminal, in plain characters: for a look, where there is no window to draw in. */

/** One curve. */
export interface TerminalCurve {
  x: readonly number[];
  y: readonly number[];
}

/** How large the drawing is. */
export interface TerminalPlotOptions {
  /** Letters across, with the axis. @default 78 */
  width?: number;
  /** Lines of the drawing, without the axis. @default 16 */
  height?: number;
}

/** Marks of the curves, in their order; where two meet, the first is seen. */
export const MARKS = "ox+*#@%&";

/**
 * Draws curves over a common axis; each column shows the mean of the values that fall into it. Values that are not finite
 * are left out. Empty when nothing is left.
 *
 * @example
 * ```ts
 * import { terminalPlot } from "./terminal_plot.ts";
 * const steps = Array.from({ length: 50 }, (_, i) => i);
 * console.log(terminalPlot([{ x: steps, y: steps.map((step) => 3 * 0.9 ** step) }]));
 * ```
 */
export function terminalPlot(curves: readonly TerminalCurve[], options: TerminalPlotOptions = {}): string {
  const { width = 78, height = 16 } = options;
  const points = curves.map(({ x, y }) =>
    x.map((at, i) => [at, y[i]!] as const).filter(([at, value]) =>
      Number.isFinite(at) && Number.isFinite(value)
    )
  );
  const all = points.flat();
  if (all.length === 0) return "";
  const [left, right] = range(all.map(([at]) => at));
  const [low, high] = range(all.map(([, value]) => value));
  const labels = Array.from(
    { length: height },
    (_, row) => label(high - (high - low) * row / Math.max(1, height - 1)),
  );
  const margin = Math.max(...labels.map((text) => text.length));
  const columns = Math.max(10, width - margin - 3);
  const cells = Array.from({ length: height }, () => Array<string>(columns).fill(" "));
  // The last curve first, so that the first one lies on top.
  for (const [c, curve] of [...points.entries()].reverse()) {
    for (const [column, mean] of means(curve, left, right, columns)) {
      const row = high === low ? height - 1 : Math.round((high - mean) / (high - low) * (height - 1));
      cells[row]![column] = MARKS[c % MARKS.length]!;
    }
  }
  const axis = `${label(left)}${label(right).padStart(columns - label(left).length)}`;
  return [
    ...cells.map((row, i) => `${labels[i]!.padStart(margin)} | ${row.join("").trimEnd()}`.trimEnd()),
    `${" ".repeat(margin)} +${"-".repeat(columns + 1)}`,
    `${" ".repeat(margin)}   ${axis}`,
  ].join("\n");
}

/** The mean value of each column that has any. */
function means(
  curve: readonly (readonly [number, number])[],
  left: number,
  right: number,
  columns: number,
): Map<number, number> {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const [at, value] of curve) {
    const column = right === left ? 0 : Math.round((at - left) / (right - left) * (columns - 1));
    const { sum, count } = sums.get(column) ?? { sum: 0, count: 0 };
    sums.set(column, { sum: sum + value, count: count + 1 });
  }
  return new Map([...sums].map(([column, { sum, count }]) => [column, sum / count]));
}

/** Least and largest, without a call of as many arguments. */
function range(values: readonly number[]): [number, number] {
  return values.reduce<[number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [
      Infinity,
      -Infinity,
    ],
  );
}

function label(value: number): string {
  return String(Number(value.toPrecision(4)));
}
