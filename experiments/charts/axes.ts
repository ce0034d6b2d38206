/** Axes: scales that fit the data, ticks at round numbers, grid and labels. */

// @ts-types="@types/d3-scale"
import { scaleLinear, scaleLog } from "d3-scale";
import { text, textWidth } from "./chart.ts";
import { element, fragment, type Markup } from "./markup.ts";

/** How an axis is to be. */
export interface AxisOptions {
  /** What it measures, with the unit. */
  label?: string;
  /** Whether equal ratios are equally long; what is not positive is then left out. @default false */
  log?: boolean;
  /** Where it begins. @default fits the data */
  min?: number;
  /** Where it ends. @default fits the data */
  max?: number;
}

/** From a number to pixels, with the ticks that fit. */
export interface Scale {
  /** Pixels; NaN for what cannot be shown. */
  (value: number): number;
  ticks: { value: number; label: string }[];
  /** The numbers at its ends. */
  domain: [number, number];
}

/** Beyond these no axis is drawn: rounding would show, or sums overflow. */
const [SMALLEST, LARGEST] = [1e-100, 1e100];

/**
 * A scale over what is to be shown.
 *
 * @param values the data; what is not finite does not count
 * @param range pixels of the two ends
 * @param count ticks, about
 */
export function makeScale(
  values: Iterable<number>,
  range: readonly [number, number],
  { log = false, min, max }: AxisOptions,
  count: number,
): Scale {
  const isShown = (value: number) => Math.abs(value) <= LARGEST && (!log || value > SMALLEST);
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!isShown(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) [low, high] = log ? [1, 10] : [0, 1];
  const isOne = high - low <= 1e-12 * Math.max(Math.abs(low), Math.abs(high)) + SMALLEST;
  if (isOne) [low, high] = log ? [low / 2, high * 2] : around(low);
  if (log) [low, high] = [low / (high / low) ** 0.02, high * (high / low) ** 0.02];
  const domain: [number, number] = [min ?? low, max ?? high];
  const scale = log ? scaleLog(domain, range) : scaleLinear(domain, range);
  if (!log && min === undefined && max === undefined) scale.nice(count); // round ends, but where the user set one
  const [from, to] = scale.domain() as [number, number];
  const ticks = scale.ticks(count).filter(isShown);
  const format = scale.tickFormat(count);
  const labels = log
    ? ticks.map((value) => format(value) === "" ? "" : short(value, EXACT)) // a line without a number, between powers of ten
    : linearLabels(ticks, format);
  return Object.assign((value: number) => isShown(value) ? scale(value) : NaN, {
    ticks: ticks.map((value, i) => ({ value, label: labels[i]! })),
    domain: [from, to] as [number, number],
  });
}

function around(value: number): [number, number] {
  const margin = Math.abs(value) <= SMALLEST ? 1 : Math.abs(value) * 0.1;
  return [value - margin, value + margin];
}

/** Short labels (`20k`, `3e-4`) for large and small numbers, where they are indeed short. */
function linearLabels(values: readonly number[], format: (value: number) => string): string[] {
  const largest = Math.max(...values.map(Math.abs));
  const labels = values.map((value) => short(value, EXACT));
  const isShort = (largest >= 1e4 || largest < 1e-2) && labels.every(({ length }) => length <= 8);
  return isShort ? labels : values.map(format);
}

/** Digits that leave out nothing but errors of rounding. */
const EXACT = 12;

const UNITS = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]] as const;

/** A number in few characters: `0`, `0.03`, `3e-4`, `20k`, `1.5M`; `–` for what is none. */
export function short(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const rounded = (number: number) => Number(number.toPrecision(digits));
  if (size >= 1e15 || (size > 0 && size < 1e-2)) return rounded(value).toExponential().replace("e+", "e");
  const [unit, sign] = size < 1e4 ? [1, ""] as const : UNITS.find(([unit]) => size >= unit)!;
  return `${rounded(value / unit)}${sign}`;
}

/** Room that the labels of a vertical axis need. */
export function labelRoom({ ticks }: Scale): number {
  return Math.max(0, ...ticks.map(({ label }) => textWidth(label, SMALL)));
}

const SMALL = 11;

/** The plot's rectangle. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Grid, tick labels and label of the axis below the plot. A tick label that would run into the one before is left out. */
export function xAxis(scale: Scale, { left, top, width, height }: Box, label: string | undefined): Markup {
  const bottom = top + height;
  let taken = -Infinity;
  const tickLabel = (label: string, x: number) => {
    const half = textWidth(label, SMALL) / 2;
    if (label === "" || x - half < taken) return "";
    taken = x + half;
    return text(label, { x, y: bottom + 16, "text-anchor": "middle", "font-size": SMALL });
  };
  return fragment(
    ...scale.ticks.map(({ value, label }) => {
      const x = left + scale(value);
      return fragment(gridLine(x, top, x, bottom), tickLabel(label, x));
    }),
    label === undefined
      ? ""
      : text(label, { x: left + width / 2, y: bottom + 34, "text-anchor": "middle" }, width + left),
  );
}

/** Grid, tick labels and label of the axis left of the plot. */
export function yAxis(scale: Scale, { left, top, width, height }: Box, label: string | undefined): Markup {
  const middle = top + height / 2;
  return fragment(
    ...scale.ticks.map(({ value, label }) => {
      const y = top + scale(value);
      return fragment(
        gridLine(left, y, left + width, y),
        label === "" ? "" : text(label, { x: left - 6, y: y + 4, "text-anchor": "end", "font-size": SMALL }),
      );
    }),
    label === undefined ? "" : text(
      label,
      { x: 20, y: middle, "text-anchor": "middle", transform: `rotate(-90 20 ${middle})` },
      height,
    ),
  );
}

function gridLine(x1: number, y1: number, x2: number, y2: number): Markup {
  return element("line", { x1, y1, x2, y2, stroke: "currentColor", "stroke-opacity": 0.14 });
}
