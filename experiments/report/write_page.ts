/**
 * The page of an experiment that is kept with a project: question, results and configuration as the tool writes them, and below them what
 * a person wrote, which stays when the page is written again.
 */

import { join } from "path";
import { exists, readText, writeFileAtomic } from "../../common/mod.ts";
import type { ExperimentState } from "../runner/experiment_state.ts";
import { collect } from "./collect.ts";
import { renderMarkdown } from "./render_markdown.ts";
import { report } from "./report.ts";
import { writePlots } from "./write_reports.ts";

/** Where a person's part begins. */
const OWN_PART = "## What follows";

/**
 * Writes `<folder>/<name>.md` and its plots `<folder>/<name>_*.svg`, and returns the page's path.
 * Throws `UserError` when a run cannot be read or a file written.
 */
export async function writePage(folder: string, state: ExperimentState): Promise<string> {
  const { name } = state.config;
  const page = join(folder, `${name}.md`);
  const document = report(await collect(state), { ids: false });
  const before = await exists(page) ? await readText(page) : "";
  const begin = before.indexOf(`\n${OWN_PART}\n`);
  const own = begin < 0 ? `${OWN_PART}\n` : before.slice(begin + 1);
  await writePlots(document, (chart) => join(folder, `${name}_${chart}.svg`));
  await writeFileAtomic(page, `${renderMarkdown(document, (chart) => `${name}_${chart}.svg`)}\n${own}`);
  return page;
}
