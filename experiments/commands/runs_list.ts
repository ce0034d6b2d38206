/** `chatgot runs [list]`: the runs that are meant, as a table or as JSON. */

import { Command } from "commander";
import { didYouMean, displayPath, UserError, userPath } from "../../common/mod.ts";
import { Table } from "../charts/table.ts";
import { Names, type Value } from "../query/names.ts";
import { sortRuns } from "../query/sort.ts";
import { parseWhere } from "../query/where.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { RunIndex } from "../reading/run_index.ts";
import { addRunsFlags, count, names, type RunsFlags } from "./flags.ts";
import { brief } from "./plain_text.ts";

interface ListFlags extends RunsFlags {
  where?: string;
  sort?: string;
  columns?: string[];
  limit?: number;
  all?: boolean;
}

/** Metrics that the table has when no columns are asked for and some run has them. */
const USUAL_METRICS = ["train_loss", "val_loss", "loss", "val_bits_per_byte", "tokens_per_second"];

const LANGUAGE = `
An expression compares names with values by = != < <= > >= and ~ (contains), joined by and, or, not and
parentheses. Names are fields (id name state tag notes parent created step tokens seed adapter …), metrics
(val_loss is the last value; val_loss.min, .max, .count, .min_step …), keys of the configuration (n_layer, or
training.seed where a key is not the only one) and summary.<key>. The configuration goes before metrics, so that
learning_rate is what was set, and learning_rate.last what was measured. Texts with spaces stand in quotes, odd names in \`…\`.

  chatgot runs --where "val_loss < 1.5 and n_layer = 4" --sort val_loss
  chatgot runs --where "tag = baseline and not state = failed" --columns id,learning_rate,val_loss.min
  chatgot runs --where "created > 2026-11-01" --sort -created --limit 10 --json`;

/** The command. @param others names of the commands beside it, for one that was mistyped */
export function runsListCommand(others: readonly string[]): Command {
  const command = new Command("list")
    .description("List runs, the newest first (the command when none is given)")
    .argument("[word...]")
    .option("--where <expression>", "only runs of which this is true, see below")
    .option("--sort <names>", "by these, with commas between; -name from the largest", "-created")
    .option("--columns <names>", "what to show, with commas between", names)
    .option("--limit <count>", "show so many at most", count("--limit"))
    .option("--all", "archived runs too")
    .addHelpText("after", LANGUAGE);
  return addRunsFlags(command).action(async (words: string[], flags: ListFlags) => {
    if (words.length > 0) throw unknownCommand(words[0]!, others);
    await list(flags);
  });
}

function unknownCommand(word: string, others: readonly string[]): UserError {
  if (others.includes(word)) {
    return new UserError(`${word} stands behind flags`, {
      hint: `put it before them: chatgot runs ${word} …`,
    });
  }
  const near = didYouMean(word, others);
  return new UserError(`unknown command ${JSON.stringify(word.slice(0, 60))}`, {
    hint: near === undefined ? "`chatgot runs --help` lists them" : `did you mean ${near}?`,
  });
}

async function list(flags: ListFlags): Promise<void> {
  const index = new RunIndex(flags.runs);
  const all = await index.refresh();
  if (all.length === 0) { // then no name is known, and none is wrong
    if (flags.json) console.log(JSON.stringify({ runs: [], count: 0, total: 0, foreign: index.foreign }));
    notes(flags, { all, found: [], shown: [], foreign: index.foreign }).forEach((line) =>
      console.error(line)
    );
    return;
  }
  const known = new Names(all);
  const isMeant = flags.where === undefined ? () => true : parseWhere(flags.where, known);
  const asksForArchived = flags.all === true || /\barchived\b/.test(flags.where ?? "");
  const found = all.filter((run) => (asksForArchived || !run.archived) && isMeant(run));
  const shown = sortRuns(found, names(flags.sort ?? ""), known).slice(0, flags.limit);
  const columns = flags.columns ?? usualColumns(shown);
  const getters = columns.map((name) => [name, known.getter(name)] as const);
  if (flags.json) {
    const chosen = (run: RunEntry) => Object.fromEntries(getters.map(([name, get]) => [name, get(run)]));
    const runs = flags.columns === undefined ? shown : shown.map(chosen);
    console.log(JSON.stringify({ runs, count: found.length, total: all.length, foreign: index.foreign }));
    return;
  }
  const rows = shown.map((run) => getters.map(([name, get]) => cell(name, get(run))));
  if (shown.length > 0) console.log(new Table(columns.map((name) => brief(name)), rows).toString());
  notes(flags, { all, found, shown, foreign: index.foreign }).forEach((line) => console.error(line));
}

function usualColumns(runs: readonly RunEntry[]): string[] {
  const has = (name: string) => runs.some((run) => Object.hasOwn(run.metrics.by_name, name));
  const tagged = runs.some(({ tags }) => tags.length > 0);
  return ["id", "state", "created", "step", ...USUAL_METRICS.filter(has), ...tagged ? ["tags"] : []];
}

/** A value as it stands in the table; times to the minute. */
function cell(name: string, value: Value): string | number {
  if (typeof value === "number") return Number(value.toPrecision(5));
  const isTime = (name === "created" || name === "ended") && typeof value === "string";
  return brief(isTime ? value.slice(0, 16).replace("T", " ") : value, 60);
}

/** What the table does not tell: on standard error, so that the table alone goes into a file. */
function notes(
  { runs: runsDir, where }: ListFlags,
  { all, found, shown, foreign }: {
    all: RunEntry[];
    found: RunEntry[];
    shown: RunEntry[];
    foreign: readonly string[];
  },
): string[] {
  const folder = displayPath(userPath(runsDir));
  const lines: string[] = [];
  if (all.length === 0) lines.push(`there are no runs in ${folder}`);
  else if (found.length === 0) {
    lines.push(where === undefined ? "all runs are archived; --all shows them" : "no run is so");
  }
  if (shown.length < found.length) lines.push(`${shown.length} of ${found.length} runs`);
  for (const { id, problems } of shown) {
    for (const problem of problems) lines.push(`note: ${brief(id)}: ${brief(problem, 200)}`);
  }
  if (foreign.length > 0) {
    lines.push(
      `note: passed over, since they hold no run: ${
        foreign.slice(0, 5).map((name) => brief(name)).join(", ")
      }${foreign.length > 5 ? ` and ${foreign.length - 5} more` : ""}`,
    );
  }
  return lines;
}
