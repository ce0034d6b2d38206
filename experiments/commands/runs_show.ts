/** `chatgot runs show`: all that is known of one run. */

import { join } from "path";
import { Command } from "commander";
import { displayPath, humanBytes, humanDuration } from "../../common/mod.ts";
import { table } from "../charts/table.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { readLines } from "../reading/run_lines.ts";
import { addRunsFlags, chosenRun, type RunsFlags } from "./flags.ts";
import { brief, manyLines, oneLine } from "./plain_text.ts";

/** The command. */
export function runsShowCommand(): Command {
  const command = new Command("show")
    .description("Show a run: what it is, its configuration, metrics, events, files and last sample")
    .argument("<run>", "id, name, the beginning of either, or folder");
  return addRunsFlags(command).action(async (which: string, flags: RunsFlags) => {
    const run = await chosenRun(which, flags);
    const details = await detailsOf(run);
    console.log(flags.json ? JSON.stringify({ ...run, ...details }) : describe(run, details));
  });
}

interface Details {
  events: Record<string, unknown>[];
  artifacts: { name: string; bytes: number }[];
  checkpoints: string[];
  last_sample: Record<string, unknown> | null;
}

async function detailsOf(run: RunEntry): Promise<Details> {
  const checkpoints = await Array.fromAsync(entriesOf(join(run.dir, "checkpoints")));
  return {
    events: readLines(run, "events"),
    artifacts: await Array.fromAsync(filesBelow(join(run.dir, "artifacts"), "")),
    checkpoints: checkpoints.filter(({ name }) => !name.startsWith(".")).map(({ name }) => name).sort(),
    last_sample: readLines(run, "samples").at(-1) ?? null,
  };
}

async function* entriesOf(folder: string): AsyncGenerator<Deno.DirEntry> {
  try {
    yield* Deno.readDir(folder);
  } catch { /* none, or none that may be read: there is nothing to list */ }
}

/** Files of a folder and those below it, by their path in it. Links are not followed. */
async function* filesBelow(folder: string, prefix: string): AsyncGenerator<{ name: string; bytes: number }> {
  for await (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* filesBelow(path, `${prefix}${entry.name}/`);
    else if (entry.isFile) yield { name: prefix + entry.name, bytes: (await Deno.stat(path)).size };
  }
}

const SHOWN_EVENTS = 10;

function describe(run: RunEntry, { events, artifacts, checkpoints, last_sample }: Details): string {
  const { record, metrics, config } = run;
  const row = (name: string, value: unknown, most = 200) => {
    const text = brief(value, most);
    return text === "" ? [] : [`${name.padEnd(14)}${text}`];
  };
  const section = (title: string, lines: string[]) => lines.length === 0 ? [] : ["", title, ...lines];
  const facts = Object.entries(metrics.by_name).map(([metric, { last, min, min_step, max, count }]) => ({
    metric: brief(metric, 60),
    last: last ?? "not finite",
    min,
    "at step": min_step,
    max,
    count,
  }));
  return [
    ...row("run", run.id),
    ...row("name", run.name === run.id ? null : run.name),
    ...row("folder", displayPath(run.dir)),
    ...row("state", run.archived ? `${run.state}, archived` : run.state),
    ...row("tags", run.tags),
    ...row("notes", run.notes, 1000),
    ...row("parents", run.parents),
    ...row("created", run.created),
    ...row("took", tookOf(run)),
    ...row("trained", metrics.step === null ? null : trainedOf(run)),
    ...row("command", Array.isArray(record.command_line) ? record.command_line.join(" ") : null),
    ...row("git commit", commitOf(record)),
    ...row("machine", [record.host, record.adapter].filter((part) => typeof part === "string")),
    ...row("driver", (record.adapter_info as { driver?: unknown } | null | undefined)?.driver),
    ...row("versions", versionsOf(record.versions)),
    ...run.problems.map((problem) => `problem       ${oneLine(problem, 300)}`),
    ...section("metrics", facts.length === 0 ? [] : table(facts).toString().split("\n").map(indented)),
    ...section(
      "configuration",
      Object.entries(config).map(([key, value]) => `  ${oneLine(key, 60).padEnd(34)} ${brief(value, 100)}`),
    ),
    ...section(
      `events${events.length > SHOWN_EVENTS ? ` (the last ${SHOWN_EVENTS} of ${events.length})` : ""}`,
      events.slice(-SHOWN_EVENTS).map(eventLine),
    ),
    ...section("checkpoints", checkpoints.map((name) => `  ${oneLine(name, 100)}`)),
    ...section(
      "artifacts",
      artifacts.map(({ name, bytes }) => `  ${oneLine(name, 100)}  ${humanBytes(bytes)}`),
    ),
    ...section(
      `last sample${last_sample === null ? "" : ` (step ${brief(last_sample.step)})`}`,
      last_sample === null ? [] : [manyLines(`${last_sample.prompt ?? ""}${last_sample.text ?? ""}`)],
    ),
  ].join("\n");
}

function indented(line: string): string {
  return `  ${line}`;
}

function tookOf({ created, ended, metrics }: RunEntry): string | null {
  const seconds = (Date.parse(ended ?? metrics.time ?? "") - Date.parse(created ?? "")) / 1000;
  return Number.isFinite(seconds) ? humanDuration(seconds) : null;
}

function trainedOf({ metrics: { step, tokens } }: RunEntry): string {
  return `${step} steps${tokens === null ? "" : `, ${tokens} tokens`}`;
}

function commitOf({ git_commit, git_dirty }: Record<string, unknown>): string | null {
  return typeof git_commit === "string" ? `${git_commit}${git_dirty === true ? " and changes" : ""}` : null;
}

function versionsOf(versions: unknown): string | null {
  return typeof versions === "object" && versions !== null
    ? Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")
    : null;
}

function eventLine({ type, step, time, ...more }: Record<string, unknown>): string {
  const rest = Object.keys(more).length === 0 ? "" : JSON.stringify(more);
  return `  ${String(time ?? "").slice(0, 19).replace("T", " ")}  step ${brief(step).padEnd(8)} ${
    brief(type, 40)
  } ${oneLine(rest, 120)}`
    .trimEnd();
}
