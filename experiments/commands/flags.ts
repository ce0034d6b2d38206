/** Flags that the commands of this room share, and what is read by them. */

import type { Command } from "commander";
import { UserError, userPath } from "../../common/mod.ts";
import { chooseRun } from "../reading/choose_run.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { listRuns } from "../reading/run_index.ts";

/** What every command about runs takes. */
export interface RunsFlags {
  /** The folder that holds the runs. */
  runs: string;
  json?: boolean;
}

/** Adds `--runs <dir>` and `--json`. */
export function addRunsFlags(command: Command): Command {
  return command
    .option("--runs <dir>", "folder that holds the runs", "runs")
    .option("--json", "print one JSON object and nothing else on standard output");
}

/** The runs that are meant, each once and in the order in which they were named. Throws `UserError` as `chooseRun` does. */
export async function chosenRuns(
  which: readonly string[],
  { runs: runsDir }: RunsFlags,
): Promise<RunEntry[]> {
  const runs = await listRuns(runsDir);
  return [...new Set(which.map((each) => chooseRun(runs, each, runsDir)))];
}

/** The run that is meant. Throws `UserError` as `chooseRun` does. */
export async function chosenRun(which: string, { runs: runsDir }: RunsFlags): Promise<RunEntry> {
  return chooseRun(await listRuns(runsDir), which, userPath(runsDir));
}

/** Reads a whole number of at least 1. Throws `UserError` for anything else. */
export function count(flag: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isInteger(value) && value >= 1) return value;
    throw new UserError(
      `${flag}: expected a whole number of at least 1, got ${JSON.stringify(text.slice(0, 40))}`,
    );
  };
}

/** Reads names with commas between them. */
export function names(text: string): string[] {
  return text.split(",").map((name) => name.trim()).filter((name) => name !== "");
}
