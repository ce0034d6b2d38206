/**
 * The table of runs: which columns there are, what a run has in them, sorting and paging. All on the server, so that the
 * page handles thousands of runs as easily as ten. Left out: the filter's language (`../query`).
 */

import type { RunEntry } from "../reading/run_entry.ts";
import type { Cell, ColumnGroup, RunRow } from "./api_types.ts";

/** Columns that every run has, with what stands in them. */
const OWN: Record<string, (run: RunEntry) => unknown> = {
  state: (run) => run.state,
  created: (run) => run.created,
  duration: (run) => durationOf(run),
  step: (run) => run.metrics.step,
  tokens: (run) => run.metrics.tokens,
  tags: (run) => run.tags.join(", "),
  notes: (run) => run.notes,
  parent: (run) => run.parents.join(", "),
  config_name: (run) => run.config_name,
  id: (run) => run.id,
  name: (run) => run.name,
  host: (run) => run.record.host,
  adapter: (run) => run.record.adapter,
  seed: (run) => run.record.seed,
  parameters: (run) => run.record.parameters,
  git_commit: (run) => run.record.git_commit,
};

/** Values of a metric over a run, by the ending that its column's name has. */
const OF_METRIC = ["last", "min", "max"] as const;

/** Columns that are shown when nobody asks for others. */
export const USUAL_COLUMNS = [
  "state",
  "created",
  "duration",
  "step",
  "train_loss",
  "val_loss",
  "val_loss.min",
  "training.learning_rate",
  "tags",
];

/** What a run has in a column; null where it has nothing. */
export function cellOf(run: RunEntry, column: string): Cell {
  if (Object.hasOwn(OWN, column)) return cell(OWN[column]!(run));
  if (Object.hasOwn(run.config, column)) return cell(run.config[column]);
  const [, name, ending] = /^(.*)\.(min|max)$/s.exec(column) ?? [];
  const metrics = run.metrics.by_name;
  const [metric, kind] = ending === undefined ? [column, "last" as const] : [name!, ending as "min" | "max"];
  return Object.hasOwn(metrics, metric) ? metrics[metric]![kind] : null;
}

function cell(value: unknown): Cell {
  if (value === undefined || value === null) return null;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  return typeof value === "object" ? JSON.stringify(value) : value as string | boolean;
}

/** Seconds from the beginning to the end, or to the last line of metrics. */
function durationOf({ created, ended, metrics }: RunEntry): number | null {
  const seconds = (Date.parse(ended ?? metrics.time ?? "") - Date.parse(created ?? "")) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}

/** Every column that some of the runs has a value for. */
export function columnsOf(runs: readonly RunEntry[]): ColumnGroup[] {
  const config = new Set<string>();
  const metrics = new Set<string>();
  for (const run of runs) {
    for (const key of Object.keys(run.config)) config.add(key);
    for (const name of Object.keys(run.metrics.by_name)) metrics.add(name);
  }
  return [
    { title: "Run", names: Object.keys(OWN) },
    {
      title: "Metrics",
      names: [...metrics].sort().flatMap((name) =>
        OF_METRIC.map((kind) => kind === "last" ? name : `${name}.${kind}`)
      ),
    },
    { title: "Configuration", names: [...config].sort() },
  ];
}

/** Sorts runs by a column; those without a value come last either way, and runs that tie keep their order. */
export function sortRuns(runs: RunEntry[], column: string, descending: boolean): RunEntry[] {
  const keyed = runs.map((run) => ({ run, value: cellOf(run, column) }));
  const sign = descending ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.value === null || b.value === null) return Number(a.value === null) - Number(b.value === null);
    return sign * compare(a.value, b.value);
  });
  return keyed.map(({ run }) => run);
}

const byName = new Intl.Collator("en", { numeric: true });

function compare(a: NonNullable<Cell>, b: NonNullable<Cell>): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === typeof b) return byName.compare(String(a), String(b));
  return typeof a === "number" ? -1 : typeof b === "number" ? 1 : byName.compare(String(a), String(b));
}

/** A run as one line of the table. */
export function rowOf(run: RunEntry, columns: readonly string[]): RunRow {
  const { id, name, state, archived, tags, problems } = run;
  return { id, name, state, archived, tags, problems, cells: columns.map((column) => cellOf(run, column)) };
}
