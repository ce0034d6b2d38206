/** Writes what came out of an experiment into its folder: `results.yaml`, `report.md` with its plots, and `report.html`. */

import { join } from "path";
import { writeFileAtomic } from "../../common/mod.ts";
import type { ExperimentState } from "../runner/experiment_state.ts";
import { collect } from "./collect.ts";
import type { Document } from "./document.ts";
import { renderHtml } from "./render_html.ts";
import { renderMarkdown } from "./render_markdown.ts";
import { report, reportSummary } from "./report.ts";
import { results, resultsYaml } from "./results.ts";

/** What was written. */
export interface WrittenReports {
  /** Paths of the files that somebody would open. */
  files: string[];
  summary: {
    /** What was found, for a terminal. */
    text: string;
    /** The content of `results.yaml`. */
    results: Record<string, unknown>;
  };
}

/** Writes the reports of an experiment as far as it has come. Throws `UserError` when a run cannot be read or a file written. */
export async function writeReports(dir: string, state: ExperimentState): Promise<WrittenReports> {
  const experiment = await collect(state);
  const { formats } = state.config.output;
  const files = [join(dir, "results.yaml")];
  await writeFileAtomic(files[0]!, resultsYaml(experiment));
  const document = report(experiment);
  if (formats.includes("markdown")) {
    await writePlots(document, (name) => join(dir, "plots", `${name}.svg`));
    files.push(join(dir, "report.md"));
    await writeFileAtomic(files.at(-1)!, renderMarkdown(document, (name) => `plots/${name}.svg`));
  }
  if (formats.includes("html")) {
    files.push(join(dir, "report.html"));
    await writeFileAtomic(files.at(-1)!, renderHtml(document));
  }
  return { files, summary: { text: reportSummary(experiment), results: results(experiment) } };
}

/** Writes a report's charts, each to the file that its name stands for. */
export async function writePlots(document: Document, fileOf: (name: string) => string): Promise<void> {
  for (const block of document.blocks) {
    if (block.kind !== "charts") continue;
    for (const { name, chart } of block.charts) await writeFileAtomic(fileOf(name), chart.svg + "\n");
  }
}
