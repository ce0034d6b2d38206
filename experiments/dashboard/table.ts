/**
 * The table of runs: which columns there are, what a run has in them, which runs a filter means, and their order. All on the
 * server, so that the page handles thousands of runs as easily as ten. Names and filters are those of `chatgot runs`.
 */

import { UserError } from "../../common/mod.ts";
import type { Getter, Names, Value } from "../query/names.ts";
import { sortRuns } from "../query/sort.ts";
import { parseWhere } from "../query/where.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { Refusal } from "./access.ts";
import type { Cell, ColumnGroup, RunRow } from "./api_types.ts";

/** Columns of the run itself; `Names` knows more of them, under other names for the same. */
const OWN = [
  "state",
  "created",
  "ended",
  "duration",
  "step",
  "tokens",
  "tags",
  "notes",
  "parents",
  "config_name",
  "id",
  "name",
  "host",
  "adapter",
  "seed",
  "parameters",
  "git_commit",
];

/** Every column that some of the runs may have a value for. */
export function columnsOf(runs: readonly RunEntry[]): ColumnGroup[] {
  const config = new Set<string>();
  const metrics = new Set<string>();
  for (const run of runs) {
    for (const key of Object.keys(run.config)) config.add(key);
    for (const name of Object.keys(run.metrics.by_name)) metrics.add(name);
  }
  return [
    { title: "Run", names: OWN },
    {
      title: "Metrics",
      names: [...metrics].sort().flatMap((name) => [name, `${name}.min`, `${name}.max`]),
    },
    { title: "Configuration", names: [...config].sort() },
  ];
}

/**
 * The runs that a filter means: an expression such as `val_loss < 1.5 and n_layer = 4`, or words that all stand in a run's
 * name, id, tags or note. Throws `Refusal` (400) for an expression that goes wrong, with what is wrong.
 */
export function filterRuns(runs: readonly RunEntry[], filter: string, names: Names): RunEntry[] {
  if (filter.trim() === "" || runs.length === 0) return [...runs];
  if (!isExpression(filter)) {
    const words = filter.toLowerCase().trim().split(/\s+/);
    const textOf = ({ id, name, notes, tags }: RunEntry) =>
      [id, name, notes, ...tags].join("\n").toLowerCase();
    return runs.filter((run) => words.every((word) => textOf(run).includes(word)));
  }
  return understood(() => runs.filter(parseWhere(filter, names)));
}

/** Whether a filter compares or joins anything; else it is words. */
function isExpression(filter: string): boolean {
  return /[=<>~()`]|\b(and|or|not)\b/i.test(filter);
}

/** The runs in the order of a column; those without a value come last. Throws `Refusal` (400) for a name that no run has. */
export function orderRuns(runs: RunEntry[], column: string, descending: boolean, names: Names): RunEntry[] {
  if (column === "") return runs;
  return understood(() => sortRuns(runs, [descending ? `-${column}` : column], names));
}

/** What `Names` and the filter's language have against what was typed is told as a refusal. */
function understood<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new Refusal(400, error.describe().replace(/^--where: /, ""));
  }
}

/** Gives runs as lines of the table. A column that no run has is empty. */
export function rowsOf(runs: readonly RunEntry[], columns: readonly string[], names: Names): RunRow[] {
  const getters = columns.map((column) => getterOf(column, names));
  return runs.map((run) => {
    const { id, name, state, archived, tags, problems } = run;
    return { id, name, state, archived, tags, problems, cells: getters.map((get) => cell(get(run))) };
  });
}

function getterOf(column: string, names: Names): Getter {
  try {
    return names.getter(column);
  } catch {
    return () => null;
  }
}

function cell(value: Value): Cell {
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  return Array.isArray(value)
    ? value.map((item) => typeof item === "string" ? item : JSON.stringify(item)).join(", ")
    : value;
}
