/** A report as one HTML file that needs nothing beside it: charts are in it as SVG, there is no script. */

import { element, fragment, Markup, style } from "../charts/markup.ts";
import type { Block, Document } from "./document.ts";
import css from "./report.css" with { type: "text" };

/** The text of a report. */
export function renderHtml({ title, blocks }: Document): string {
  const page = element(
    "html",
    { lang: "en" },
    element(
      "head",
      {},
      element("meta", { charset: "utf-8" }),
      element("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
      // Nothing is loaded and nothing runs, whatever a text of a run says.
      element("meta", {
        "http-equiv": "Content-Security-Policy",
        content: "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
      }),
      element("title", {}, title),
      style(css),
    ),
    element("body", {}, element("main", {}, element("h1", {}, title), ...blocks.map(renderBlock))),
  );
  return `<!DOCTYPE html>\n${page.text}\n`;
}

function renderBlock(block: Block): Markup {
  switch (block.kind) {
    case "heading":
      return element("h2", {}, block.text);
    case "text":
      return fragment(...block.text.split(/\n\s*\n/).map((text) => element("p", {}, text)));
    case "list":
      return element("ul", {}, ...block.items.map((item) => element("li", {}, item)));
    case "table":
      return element("div", { class: "table" }, new Markup(block.table.html));
    case "charts":
      return element(
        "div",
        { class: "charts" },
        ...block.charts.map(({ chart }) => element("figure", {}, new Markup(chart.svg))),
      );
    case "samples":
      return element(
        "div",
        { class: "samples" },
        ...block.samples.map(({ name, text }) =>
          element("section", {}, element("h3", {}, name), element("pre", {}, text.replace(/^\n+|\s+$/g, "")))
        ),
      );
  }
}
