/**
 * A matrix as colours: attention weights with their tokens, sweeps over two settings. Cells of one colour are one
 * path, so that a matrix of thousands of cells stays small; its tooltip says what the colour stands for.
 */

import { short } from "./axes.ts";
import { Chart, type ChartOptions, contentTop, PADDING, TEXT, text, textWidth } from "./chart.ts";
import { coordinate, element, fragment, type Markup } from "./markup.ts";
import { levelColour, LEVELS } from "./palette.ts";

/** How a heatmap is to be. */
export interface HeatmapOptions extends ChartOptions {
  /** Names of the rows, from above. */
  rows?: readonly string[];
  /** Names of the columns. */
  columns?: readonly string[];
  /** What the rows are. */
  y?: { label?: string };
  /** What the columns are. */
  x?: { label?: string };
  /** Numbers of the darkest and the lightest colour. @default least and largest value */
  domain?: readonly [number, number];
  /** Height of a row in pixels. @default as wide as its columns, at most 40 */
  cell_height?: number;
}

/** Least room between two names, in pixels. */
const NAME = 13;

/**
 * Draws a matrix.
 *
 * @param values the rows, from above; a value that is not finite leaves its cell empty
 *
 * @example
 * ```ts
 * import { heatmap, tokenLabels } from "./heatmap.ts";
 * const tokens = tokenLabels(["Call", " me", " Ish"]);
 * const weights = [[1, NaN, NaN], [0.7, 0.3, NaN], [0.2, 0.5, 0.3]];
 * console.log(heatmap(weights, { rows: tokens, columns: tokens, domain: [0, 1], title: "Head 0" }).svg);
 * ```
 */
export function heatmap(values: readonly ArrayLike<number>[], options: HeatmapOptions = {}): Chart {
  const { title, width = 480, rows = [], columns = [], x = {}, y = {} } = options;
  const [height, count] = [values.length, Math.max(0, ...values.map(({ length }) => length))];
  const left = PADDING + (y.label === undefined ? 0 : 18) + Math.min(width / 4, widest(rows)) + 6;
  const cell = Math.max(1, (width - left - PADDING) / Math.max(1, count));
  const isUpright = widest(columns) <= cell;
  const above = isUpright ? Math.min(TEXT, widest(columns)) : Math.min(120, widest(columns));
  const top = contentTop(title) + above + (above > 0 ? 8 : 0);
  const cellHeight = options.cell_height ?? Math.min(40, cell);
  const [plotWidth, plotHeight] = [cell * count, cellHeight * height];
  const domain = options.domain ?? extent(values);
  const bottom = top + plotHeight + (x.label === undefined ? 0 : 22);

  const content = fragment(
    ...every(rows.slice(0, height), cellHeight).map(({ name, i }) =>
      text(name, { x: left - 6, y: top + (i + 0.5) * cellHeight + 4, "text-anchor": "end" }, width / 4)
    ),
    ...every(columns.slice(0, count), cell).map(({ name, i }) => {
      const [at, from] = [left + (i + 0.5) * cell, top - 6];
      if (isUpright) return text(name, { x: at, y: from, "text-anchor": "middle" });
      return text(
        name,
        { transform: `translate(${coordinate(at + 4)} ${coordinate(from)}) rotate(-90)` },
        120,
      );
    }),
    element(
      "g",
      { transform: `translate(${coordinate(left)} ${coordinate(top)})`, "shape-rendering": "crispEdges" },
      ...cells(values, domain, cell, cellHeight),
    ),
    y.label === undefined ? "" : text(y.label, {
      "text-anchor": "middle",
      transform: `translate(20 ${coordinate(top + plotHeight / 2)}) rotate(-90)`,
    }),
    x.label === undefined
      ? ""
      : text(x.label, { x: left + plotWidth / 2, y: top + plotHeight + 18, "text-anchor": "middle" }),
    key(domain, left, bottom + 14, Math.min(160, Math.max(60, plotWidth))),
  );
  return new Chart(content, {
    title,
    description: options.description ?? describe(values, options, domain),
    width,
    height: bottom + 44,
  });
}

/**
 * Texts of tokens as labels: blanks and new lines are made visible.
 *
 * @example
 * ```ts
 * import assert from "assert";
 * import { tokenLabels } from "./heatmap.ts";
 * assert.deepEqual(tokenLabels([" the", "\n"]), ["␣the", "⏎"]);
 * ```
 */
export function tokenLabels(texts: readonly string[]): string[] {
  return texts.map((token) => token.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥"));
}

/** One path for each colour that occurs. */
function cells(
  values: readonly ArrayLike<number>[],
  [low, high]: readonly [number, number],
  width: number,
  height: number,
): Markup[] {
  const paths = new Map<number, string[]>();
  values.forEach((row, i) => {
    for (let j = 0; j < row.length; j++) {
      if (!Number.isFinite(row[j]!)) continue;
      const share = high > low ? (row[j]! - low) / (high - low) : 0;
      const level = Math.max(0, Math.min(LEVELS - 1, Math.floor(share * LEVELS)));
      const [x0, y0, x1, y1] = [j * width, i * height, (j + 1) * width, (i + 1) * height].map(coordinate);
      const path = paths.get(level) ?? [];
      path.push(`M${x0},${y0}H${x1}V${y1}H${x0}z`);
      paths.set(level, path);
    }
  });
  const end = (level: number) => short(low + (high - low) * level / LEVELS);
  return [...paths].sort(([a], [b]) => a - b).map(([level, path]) =>
    element(
      "path",
      { d: path.join(""), fill: levelColour(level) },
      element("title", {}, `${end(level)} to ${end(level + 1)}`),
    )
  );
}

/** Which number is which colour. */
function key([low, high]: readonly [number, number], left: number, y: number, width: number): Markup {
  const step = width / 32;
  return fragment(
    ...Array.from({ length: 32 }, (_, i) =>
      element("rect", {
        x: left + i * step,
        y,
        width: step + 0.5,
        height: 8,
        fill: levelColour(i * 2 + 1),
      })),
    text(short(low), { x: left, y: y + 22, "font-size": 11 }),
    text(short(high), { x: left + width, y: y + 22, "text-anchor": "end", "font-size": 11 }),
  );
}

/** The names that there is room for. */
function every(names: readonly string[], cell: number): { name: string; i: number }[] {
  const step = Math.ceil(NAME / cell);
  return names.map((name, i) => ({ name, i })).filter(({ i }) => i % step === 0);
}

function widest(names: readonly string[]): number {
  return Math.max(0, ...names.map((name) => textWidth(name)));
}

function extent(values: readonly ArrayLike<number>[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const row of values) {
    for (let i = 0; i < row.length; i++) {
      if (!Number.isFinite(row[i]!)) continue;
      low = Math.min(low, row[i]!);
      high = Math.max(high, row[i]!);
    }
  }
  return low > high ? [0, 1] : [low, high];
}

function describe(
  values: readonly ArrayLike<number>[],
  { rows = [], columns = [], x, y }: HeatmapOptions,
  [low, high]: readonly [number, number],
): string {
  const axes = `${y?.label ?? "rows"} by ${x?.label ?? "columns"}`;
  let best = { value: -Infinity, i: -1, j: -1 };
  values.forEach((row, i) => {
    for (let j = 0; j < row.length; j++) {
      if (Number.isFinite(row[j]!) && row[j]! > best.value) best = { value: row[j]!, i, j };
    }
  });
  const size = `${values.length} by ${
    Math.max(0, ...values.map(({ length }) => length))
  } cells, ${axes}, from ${short(low)} to ${short(high)}`;
  if (best.i < 0) return `Heatmap of ${size}.`;
  const name = (names: readonly string[], i: number) => names[i] ?? String(i);
  return `Heatmap of ${size}. Largest: ${short(best.value)} at row ${name(rows, best.i)}, column ${
    name(columns, best.j)
  }.`;
}
