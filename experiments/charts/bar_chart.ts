/**
 * Values side by side, one row each, with what they vary by: an interval, and a dot for each seed. Rows are
 * horizontal, since names are long. Bars begin at zero, for their length is what is compared; where that hides the
 * differences, points on an axis of their own show them.
 */

import { type AxisOptions, type Box, makeScale, type Scale, short, xAxis } from "./axes.ts";
import { Chart, type ChartOptions, contentTop, PADDING, text, textWidth } from "./chart.ts";
import { element, fragment, type Markup } from "./markup.ts";
import { seriesStyle } from "./palette.ts";

/** One row. */
export interface Bar {
  name: string;
  /** NaN where there is none. */
  value: number;
  /** Lower end of its spread. */
  low?: number;
  /** Upper end of its spread. */
  high?: number;
  /** What the value is made of, such as the results of single seeds. */
  dots?: readonly number[];
}

/** How a bar chart is to be. */
export interface BarChartOptions extends ChartOptions {
  /** The values' axis. */
  value?: AxisOptions;
  /** Bars from zero, or points on an axis that fits the data. @default "bars", on a logarithmic axis "points" */
  kind?: "bars" | "points";
}

const ROW = 28;
const THICKNESS = 16;

/**
 * Draws values as bars or points.
 *
 * @example
 * ```ts
 * import { barChart } from "./bar_chart.ts";
 * const chart = barChart([
 *   { name: "adamw", value: 1.52, low: 1.5, high: 1.54, dots: [1.5, 1.52, 1.54] },
 *   { name: "lion", value: 1.58, low: 1.55, high: 1.61, dots: [1.55, 1.58, 1.61] },
 * ], { title: "Validation loss", value: { label: "nats per token" }, kind: "points" });
 * console.log(chart.svg);
 * ```
 */
export function barChart(bars: readonly Bar[], options: BarChartOptions = {}): Chart {
  const { title, width = 640, value = {} } = options;
  const kind = value.log ? "points" : options.kind ?? "bars";
  const top = contentTop(title) + 4;
  const names = Math.min(width * 0.4, Math.max(0, ...bars.map(({ name }) => textWidth(name))));
  const left = PADDING + names + 10;
  const numbers = Math.max(...bars.map(({ value }) => textWidth(short(value))), 20);
  const box: Box = {
    left,
    top,
    width: Math.max(40, width - left - numbers - PADDING - 8),
    height: Math.max(1, bars.length) * ROW,
  };
  const ends = bars.flatMap(({ value, low, high, dots = [] }) => [value, low ?? NaN, high ?? NaN, ...dots]);
  const scale = makeScale(
    kind === "bars" ? [0, ...ends] : ends,
    [0, box.width],
    value,
    Math.max(2, Math.round(box.width / 80)),
  );
  const content = fragment(
    xAxis(scale, box, value.label),
    ...bars.map((bar, i) =>
      row(bar, kind, scale, { ...box, top: top + i * ROW, height: ROW }, width - PADDING)
    ),
  );
  const description = options.description ??
    `${value.label ?? "Values"}. ${bars.map((bar) => `${bar.name}: ${inWords(bar)}`).join("; ")}.`;
  const height = top + box.height + (value.label === undefined ? 28 : 46);
  return new Chart(content, { title, description, width, height });
}

function row(
  bar: Bar,
  kind: "bars" | "points",
  scale: Scale,
  { left, top, height, width }: Box,
  right: number,
): Markup {
  const { name, value, low = NaN, high = NaN, dots = [] } = bar;
  const middle = top + height / 2;
  const at = (number: number) => left + scale(number);
  const { class: kindOfColour, color } = seriesStyle(0);
  const isValue = Number.isFinite(scale(value));
  return fragment(
    text(name, { x: left - 10, y: middle + 4, "text-anchor": "end" }, left - 10 - PADDING),
    element(
      "g",
      { class: kindOfColour, color },
      element("title", {}, `${name}: ${inWords(bar)}`),
      element("rect", { x: left, y: top, width, height, "fill-opacity": 0 }), // where the tooltip shows
      isValue && kind === "bars" ? solid(at(0), at(value), middle) : "",
      ...dots.filter((dot) => Number.isFinite(scale(dot))).map((dot) =>
        element("circle", {
          cx: at(dot),
          cy: middle,
          r: 3.5,
          fill: "none",
          stroke: "currentColor",
          "stroke-width": 1.5,
        })
      ),
      isValue && kind === "points" ? element("circle", { cx: at(value), cy: middle, r: 5 }) : "",
    ),
    Number.isFinite(scale(low)) && Number.isFinite(scale(high)) ? whisker(at(low), at(high), middle) : "",
    text(short(value), {
      x: right,
      y: middle + 4,
      "text-anchor": "end",
      "font-variant-numeric": "tabular-nums",
    }),
  );
}

function solid(from: number, to: number, middle: number): Markup {
  const [x, end] = [Math.min(from, to), Math.max(from, to)];
  return element("rect", {
    x,
    y: middle - THICKNESS / 2,
    width: end - x,
    height: THICKNESS,
    "fill-opacity": 0.55,
  });
}

/** An interval with its ends. */
function whisker(from: number, to: number, y: number): Markup {
  const cap = THICKNESS / 4;
  const [a, b] = [from, to].map((x) => Math.round(x * 100) / 100);
  const d = `M${a},${y}H${b}M${a},${y - cap}v${2 * cap}M${b},${y - cap}v${2 * cap}`;
  return element("path", { d, fill: "none", stroke: "currentColor", "stroke-width": 1.5 });
}

function inWords({ value, low, high }: Bar): string {
  if (!Number.isFinite(value)) return "no value";
  return low === undefined || high === undefined
    ? short(value)
    : `${short(value)} (${short(low)} to ${short(high)})`;
}
