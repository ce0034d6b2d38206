/** `chatgot runs compare`: what runs differ in, what they came to, and their curves. */

import { Command } from "commander";
import { UserError } from "../../common/mod.ts";
import { Table } from "../charts/table.ts";
import { MARKS, terminalPlot } from "../charts/terminal_plot.ts";
import { readMetrics } from "../reading/metric_series.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { addRunsFlags, chosenRuns, names, type RunsFlags } from "./flags.ts";
import { brief, oneLine } from "./plain_text.ts";

interface CompareFlags extends RunsFlags {
  metric?: string[];
}

/** The metrics that are drawn when none are asked for: the first that a run has. */
const USUAL_METRICS = ["val_loss", "train_loss", "loss"];

/** The command. */
export function runsCompareCommand(): Command {
  const command = new Command("compare")
    .description("Compare runs: differences of configuration, metrics, curves")
    .argument("<run...>", "ids, names, beginnings of either, or folders")
    .option(
      "--metric <names>",
      "metrics to draw, with commas between; val_loss, train_loss or loss when left out",
      names,
    );
  return addRunsFlags(command).action(async (which: string[], flags: CompareFlags) => {
    const runs = await chosenRuns(which, flags);
    if (runs.length < 2) {
      throw new UserError("one run alone cannot be compared", {
        hint: "name at least two; `runs show` shows one",
      });
    }
    const comparison = { config: configDifferences(runs), metrics: metricValues(runs) };
    if (flags.json) {
      console.log(JSON.stringify({ runs: runs.map(({ id }) => id), ...comparison }));
    } else {
      console.log(describe(runs, comparison, drawn(runs, flags.metric)));
    }
  });
}

/** By key, the runs' values in their order; null where a run has none. */
type Rows = Record<string, unknown[]>;

/** Keys of the configurations that are not the same in all runs. */
function configDifferences(runs: readonly RunEntry[]): Rows {
  const keys = new Set(runs.flatMap(({ config }) => Object.keys(config)));
  const rows = [...keys].map((key) =>
    [key, runs.map(({ config }) => Object.hasOwn(config, key) ? config[key] ?? null : null)] as const
  );
  return Object.fromEntries(
    rows.filter(([, values]) => new Set(values.map((v) => JSON.stringify(v))).size > 1),
  );
}

/** Last and least value of every metric. */
function metricValues(runs: readonly RunEntry[]): Rows {
  const metrics = new Set(runs.flatMap(({ metrics }) => Object.keys(metrics.by_name)));
  return Object.fromEntries(
    [...metrics].flatMap((name) =>
      (["last", "min"] as const).map((part) => [
        part === "last" ? name : `${name}.min`,
        runs.map(({ metrics: { by_name } }) => Object.hasOwn(by_name, name) ? by_name[name]![part] : null),
      ])
    ),
  );
}

/** Names of the metrics to draw. Throws `UserError` for one that no run has. */
function drawn(runs: readonly RunEntry[], asked: string[] | undefined): string[] {
  const has = (name: string) => runs.some(({ metrics }) => Object.hasOwn(metrics.by_name, name));
  const missing = asked?.find((name) => !has(name));
  if (missing !== undefined) {
    const known = [...new Set(runs.flatMap(({ metrics }) => Object.keys(metrics.by_name)))];
    throw new UserError(`none of the runs has measured ${brief(missing)}`, {
      hint: `they have ${known.slice(0, 20).map((name) => brief(name)).join(", ")}`,
    });
  }
  return asked ?? USUAL_METRICS.filter(has).slice(0, 1);
}

function describe(
  runs: readonly RunEntry[],
  { config, metrics }: { config: Rows; metrics: Rows },
  draw: string[],
) {
  const header = ["", ...runs.map((_, i) => label(i))];
  const rowsOf = (rows: Rows) =>
    Object.entries(rows).map((
      [key, values],
    ) => [oneLine(key, 40), ...values.map((v) => typeof v === "number" ? v : brief(v, 30))]);
  const state = ["state", ...runs.map(({ state }) => state)];
  const step = ["step", ...runs.map(({ metrics }) => metrics.step)];
  const differences = rowsOf(config);
  return [
    ...runs.map(({ id, name }, i) =>
      `${label(i)}  ${oneLine(id, 80)}${name === id ? "" : `  ${oneLine(name, 60)}`}`
    ),
    "",
    ...differences.length === 0
      ? ["the configurations are the same"]
      : ["differences of configuration", new Table(header, differences).toString()],
    "",
    "metrics",
    new Table(header, [state, step, ...rowsOf(metrics)]).toString(),
    ...draw.flatMap((metric) => ["", `${oneLine(metric, 60)} by step`, plot(runs, metric)]),
  ].join("\n");
}

function plot(runs: readonly RunEntry[], metric: string): string {
  const curves = runs.map((run) => {
    const series = readMetrics(run);
    return Object.hasOwn(series, metric)
      ? { x: series[metric]!.step, y: series[metric]!.value }
      : { x: [], y: [] };
  });
  return terminalPlot(curves) || "nothing to draw: no value is finite";
}

/** The number of a run in the tables, with the mark of its curve. */
function label(i: number): string {
  return `${i + 1} ${MARKS[i % MARKS.length]}`;
}
