/** A report as Markdown, its charts beside it as SVG files. */

import type { Block, Document } from "./document.ts";

/**
 * The text of a report.
 *
 * @param chartPath where a chart's file lies, from the report's folder
 */
export function renderMarkdown(document: Document, chartPath: (name: string) => string): string {
  const blocks = document.blocks.map((block) => renderBlock(block, chartPath));
  return [`# ${inline(document.title)}`, ...blocks].join("\n\n").trimEnd() + "\n";
}

function renderBlock(block: Block, chartPath: (name: string) => string): string {
  switch (block.kind) {
    case "heading":
      return `## ${inline(block.text)}`;
    case "text":
      return block.text.split(/\n\s*\n/).map(inline).join("\n\n");
    case "list":
      return block.items.map((item) => `- ${inline(item)}`).join("\n");
    case "table":
      return block.table.markdown.trimEnd();
    case "charts":
      return block.charts.map(({ name, chart }) => `![${inline(chart.description)}](${chartPath(name)})`)
        .join("\n\n");
    case "samples":
      return block.samples.map(({ name, text }) => `**${inline(name)}**\n\n${fenced(text)}`).join("\n\n");
  }
}

/** Text in which nothing is Markdown, on one line. */
function inline(text: string): string {
  return text.replace(/\s+/g, " ").trim().replace(/[\\`*_{}[\]<>|#&~$!]/g, (character) => `\\${character}`);
}

/** A text as it stands, in a fence that is longer than any in it. */
function fenced(text: string): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}text\n${text.replace(/^\n+|\s+$/g, "")}\n${fence}`;
}
