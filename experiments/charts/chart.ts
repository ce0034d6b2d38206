/**
 * A finished chart, and the frame that all charts share: card, title, description for screen readers. A chart is text and
 * shows itself in a Jupyter notebook; without ids and scripts it can stand in any page beside any other.
 */

import { coordinate, element, fragment, Markup, style } from "./markup.ts";
import { DARK_RULES, INK, PAPER } from "./palette.ts";

/** What Deno's Jupyter kernel shows: representations by media type. */
export type MimeBundle = Record<string, string>;

/** What every chart may be told. */
export interface ChartOptions {
  /** Stands above the chart. @default none */
  title?: string;
  /** Said by screen readers instead of what the chart says of itself. */
  description?: string;
  /** In CSS pixels. @default 640 */
  width?: number;
}

const FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";
/** Width of a character over the font's size, as wide fonts have it: room that is left, not measured. */
const CHARACTER = 0.64;

/** Size of most text, in pixels. */
export const TEXT = 12;

/** Room that a chart keeps to its edge. */
export const PADDING = 12;

/** A chart, as SVG. In a notebook it is shown as a picture when it is the last value of a cell. */
export class Chart {
  /** The whole picture: one `<svg>` element that stands for itself, in a page or in a file. */
  readonly svg: string;
  /** What it shows, in words. */
  readonly description: string;
  readonly width: number;
  readonly height: number;

  /**
   * Frames a content; `lineChart`, `barChart`, `heatmap` and `sideBySide` call it.
   * @internal
   */
  constructor(
    content: Markup,
    { title, description, width, height }: {
      title: string | undefined;
      description: string;
      width: number;
      height: number;
    },
  ) {
    this.description = title === undefined ? description : `${title}. ${description}`;
    this.width = width;
    this.height = height;
    this.svg = element(
      "svg",
      {
        xmlns: "http://www.w3.org/2000/svg",
        class: "chatgot-chart",
        role: "img",
        "aria-label": this.description,
        width,
        height,
        viewBox: `0 0 ${coordinate(width)} ${coordinate(height)}`,
        "font-family": FONT,
        "font-size": TEXT,
        color: INK.light,
        fill: "currentColor",
        style: "max-width:100%;height:auto",
      },
      element("title", {}, title ?? description),
      element("desc", {}, description),
      style(DARK_RULES),
      element("rect", { class: "chatgot-paper", width: "100%", height: "100%", rx: 6, fill: PAPER.light }),
      title === undefined
        ? ""
        : text(title, { x: PADDING, y: 25, "font-size": 15, "font-weight": 600 }, width - 24),
      content,
    ).text;
  }

  /** The SVG, so that a chart can be written into a page or a file as it is. */
  toString(): string {
    return this.svg;
  }

  /** What Jupyter shows. */
  [Symbol.for("Jupyter.display")](): MimeBundle {
    return { "image/svg+xml": this.svg, "text/plain": this.description };
  }

  /** What `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return `Chart(${JSON.stringify(this.description)})`;
  }
}

/** Where the part below the title begins. */
export function contentTop(title: string | undefined): number {
  return title === undefined ? PADDING : 40;
}

/**
 * Several charts as one, in rows.
 *
 * @param options columns: how many stand in a row, all of them when left out
 */
export function sideBySide(
  charts: readonly Chart[],
  { columns = charts.length, title, description }: Omit<ChartOptions, "width"> & { columns?: number } = {},
): Chart {
  const inColumns = Math.max(1, Math.min(columns, charts.length));
  const rows = Array.from(
    { length: Math.ceil(charts.length / inColumns) },
    (_, row) => charts.slice(row * inColumns, (row + 1) * inColumns),
  );
  let y = title === undefined ? 0 : contentTop(title);
  let width = 0;
  const placed: Markup[] = [];
  for (const row of rows) {
    let x = 0;
    for (const chart of row) {
      placed.push(
        element("g", { transform: `translate(${coordinate(x)} ${coordinate(y)})` }, new Markup(chart.svg)),
      );
      x += chart.width;
    }
    width = Math.max(width, x);
    y += Math.max(...row.map(({ height }) => height));
  }
  return new Chart(fragment(...placed), {
    title,
    description: description ?? charts.map((chart) => chart.description).join(" "),
    width,
    height: y,
  });
}

/** Width that a text takes, about. */
export function textWidth(content: string, size = TEXT): number {
  return [...content].length * size * CHARACTER;
}

/** A text that is cut to a width; where it is cut the whole stands in its tooltip. */
export function text(
  content: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  most = Infinity,
): Markup {
  const size = Number(attributes["font-size"] ?? TEXT);
  const characters = [...content.replace(/\s+/g, " ")];
  const fitting = Math.max(1, Math.floor(most / size / CHARACTER + 1e-6));
  if (characters.length <= fitting) return element("text", attributes, characters.join(""));
  const cut = `${characters.slice(0, fitting - 1).join("")}…`;
  return element("text", attributes, cut, element("title", {}, content.slice(0, 500)));
}
