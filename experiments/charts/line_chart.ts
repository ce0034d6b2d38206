/**
 * Lines over two axes: curves of losses, scaling laws, learning rates. With bands for what varies between seeds, and marks
 * for what happened on the way.
 */

// @ts-types="@types/d3-shape"
import { area, line, symbol, symbolsFill } from "d3-shape";
import { type AxisOptions, type Box, labelRoom, makeScale, type Scale, short, xAxis, yAxis } from "./axes.ts";
import { Chart, type ChartOptions, contentTop, PADDING, TEXT, text, textWidth } from "./chart.ts";
import { element, fragment, type Markup } from "./markup.ts";
import { seriesStyle } from "./palette.ts";
import { thinned } from "./thin.ts";

/** A point of a line. One whose x or y is not finite is a gap. */
export interface Point {
  x: number;
  y: number;
  /** Lower end of the spread at x. */
  low?: number;
  /** Upper end of the spread at x. */
  high?: number;
}

/** One line. */
export interface Series {
  name: string;
  /** In the order in which they are joined. */
  points: readonly Point[];
  /** Whether each point is marked, by a shape of the series' own. @default whether there are at most 12 */
  markers?: boolean;
}

/** How a line chart is to be. */
export interface LineChartOptions extends ChartOptions {
  x?: AxisOptions;
  y?: AxisOptions;
  /** In CSS pixels. @default 360 */
  height?: number;
  /** Whether the series' names stand above the plot. @default whether there are several */
  legend?: boolean;
  /** Vertical lines at what happened on the way, such as a resumption or the best step. */
  marks?: readonly { x: number; label: string }[];
}

/** Points up to which a series marks each by itself. */
const FEW = 12;

const LEGEND_ROW = 20;

/**
 * Draws lines. The same data gives the same bytes. Long series keep their shape: of each half pixel only the first,
 * last, lowest and highest point are drawn.
 *
 * @example
 * ```ts
 * import { lineChart } from "./line_chart.ts";
 * const points = [4.2, 3.1, 2.6].map((y, i) => ({ x: 10 * (i + 1), y, low: y - 0.1, high: y + 0.1 }));
 * const chart = lineChart([{ name: "train_loss", points }], {
 *   title: "Loss",
 *   x: { label: "step" },
 *   y: { label: "nats per token", log: true },
 * });
 * console.log(chart.svg);
 * ```
 */
export function lineChart(series: readonly Series[], options: LineChartOptions = {}): Chart {
  const { title, width = 640, height = 360, x = {}, y = {}, marks = [] } = options;
  const names = options.legend ?? series.length > 1
    ? legend(series, width)
    : { content: fragment(), rows: 0 };
  const top = contentTop(title) + names.rows * LEGEND_ROW + 4;
  const bottom = x.label === undefined ? 28 : 46;
  const plotHeight = Math.max(40, height - top - bottom);

  const ys = makeScale(yValues(series), [plotHeight, 0], y, Math.max(2, Math.round(plotHeight / 50)));
  const left = PADDING + (y.label === undefined ? 0 : 18) + labelRoom(ys) + 8;
  const plotWidth = Math.max(40, width - left - PADDING - 8);
  const xs = makeScale(xValues(series, marks), [0, plotWidth], x, Math.max(2, Math.round(plotWidth / 80)));
  const box: Box = { left, top, width: plotWidth, height: plotHeight };

  const drawn = series.map((one, i) => drawSeries(one, i, xs, ys));
  const isCut = [x.min, x.max, y.min, y.max].some((end) => end !== undefined);
  const content = fragment(
    element("g", { transform: `translate(0 ${contentTop(title)})` }, names.content),
    xAxis(xs, box, x.label),
    yAxis(ys, box, y.label),
    element(
      "svg",
      { x: left, y: top, width: plotWidth, height: plotHeight, overflow: isCut ? "hidden" : "visible" },
      ...marks.map((mark) => drawMark(mark, xs, box)),
      ...drawn,
    ),
  );
  const description = options.description ?? describe(series, x.label ?? "x", y.label ?? "y");
  return new Chart(content, { title, description, width, height });
}

function* yValues(series: readonly Series[]): Generator<number> {
  for (const { points } of series) {
    for (const { y, low, high } of points) {
      yield y;
      if (low !== undefined) yield low;
      if (high !== undefined) yield high;
    }
  }
}

function* xValues(series: readonly Series[], marks: readonly { x: number }[]): Generator<number> {
  for (const { points } of series) for (const { x } of points) yield x;
  for (const { x } of marks) yield x;
}

/** A series in pixels: its band, its line, its markers. */
function drawSeries({ name, points, markers }: Series, i: number, xs: Scale, ys: Scale): Markup {
  const { dashes, ...colour } = seriesStyle(i);
  const placed = points.map(({ x, y, low = NaN, high = NaN }) => ({
    x: xs(x),
    y: ys(y),
    low: ys(low),
    high: ys(high),
  }));
  const isPoint = (p: { x: number; y: number }) => Number.isFinite(p.x) && Number.isFinite(p.y);
  const shown = thinned(placed);
  const path = line<Pixel>((p) => p.x, (p) => p.y).defined(isPoint).digits(2)(shown);
  const banded = shown.filter((p) => [p.x, p.low, p.high].every(Number.isFinite));
  const band = area<Pixel>((p) => p.x, (p) => p.low, (p) => p.high).digits(2)(banded);
  const shape = symbol(symbolsFill[i % symbolsFill.length]!, 42).digits(2)()!;
  const marked = markers ?? points.length <= FEW ? shown.filter(isPoint) : [];
  return element(
    "g",
    colour,
    element("title", {}, name),
    banded.length < 2 ? "" : element("path", { d: band!, "fill-opacity": 0.18 }),
    path === null ? "" : element("path", {
      d: path,
      fill: "none",
      stroke: "currentColor",
      "stroke-width": 1.75,
      "stroke-linejoin": "round",
      "stroke-linecap": "round",
      "stroke-dasharray": dashes,
    }),
    ...marked.map((p) =>
      element("path", { d: shape, transform: `translate(${p.x.toFixed(2)} ${p.y.toFixed(2)})` })
    ),
  );
}

type Pixel = { x: number; y: number; low: number; high: number };

function drawMark({ x, label }: { x: number; label: string }, xs: Scale, { height, width }: Box): Markup {
  const at = xs(x);
  if (!Number.isFinite(at)) return fragment();
  const isRight = at > width * 0.75;
  return fragment(
    element("line", {
      x1: at,
      y1: 0,
      x2: at,
      y2: height,
      stroke: "currentColor",
      "stroke-dasharray": "3 3",
      "stroke-opacity": 0.6,
    }),
    text(label, {
      x: at + (isRight ? -4 : 4),
      y: 10,
      "text-anchor": isRight ? "end" : "start",
      "font-size": 11,
    }, width / 4),
  );
}

/** Names with their line and shape, in as many rows as they need. */
function legend(series: readonly Series[], width: number): { content: Markup; rows: number } {
  let [x, row] = [PADDING, 0];
  const most = width - 2 * PADDING - 30;
  const entries = series.map(({ name }, i) => {
    const room = 30 + Math.min(most, textWidth(name)) + 14;
    if (x > PADDING && x + room > width) [x, row] = [PADDING, row + 1];
    const { dashes, ...colour } = seriesStyle(i);
    const y = row * LEGEND_ROW + 6;
    const entry = fragment(
      element(
        "g",
        colour,
        element("line", {
          x1: x,
          y1: y,
          x2: x + 22,
          y2: y,
          stroke: "currentColor",
          "stroke-width": 2,
          "stroke-dasharray": dashes,
        }),
        element("path", {
          d: symbol(symbolsFill[i % symbolsFill.length]!, 42).digits(2)()!,
          transform: `translate(${Math.round(x + 11)} ${y})`,
        }),
      ),
      text(name, { x: x + 28, y: y + TEXT / 3 }, most),
    );
    x += room;
    return entry;
  });
  return { content: fragment(...entries), rows: row + 1 };
}

function describe(series: readonly Series[], x: string, y: string): string {
  const lines = series.map(({ name, points }) => {
    const shown = points.filter((p) => Number.isFinite(p.x) && Number.isFinite(p.y));
    const [first, last] = [shown[0], shown.at(-1)];
    if (first === undefined || last === undefined) return `${name}: no points`;
    return `${name}: ${shown.length} points, ${short(first.y)} at ${short(first.x)} to ${short(last.y)} at ${
      short(last.x)
    }`;
  });
  return `Lines of ${y} over ${x}. ${lines.length === 0 ? "No series" : lines.join("; ")}.`;
}
