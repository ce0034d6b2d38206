/** A run's metrics as CSV (form: RFC 4180), one line a measurement: what spreadsheets, pandas and R read. */

import type { JsonlRecord } from "../../common/mod.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { readLines } from "../reading/run_lines.ts";
import { LINE_KEYS } from "../tracker/metric_summary.ts";

/**
 * The metrics of some runs as one table: `run`, `step`, `time`, `tokens`, then every metric that any of them has. What was
 * not measured, NaN or infinite is empty. Given piece by piece, a run at a time.
 */
export function* metricsCsv(runs: readonly RunEntry[]): Generator<string> {
  const metrics = [...new Set(runs.flatMap((run) => Object.keys(run.metrics.by_name)))];
  const keys = [...LINE_KEYS, ...metrics];
  yield row(["run", ...keys]);
  for (const run of runs) {
    const lines = readLines(run, "metrics");
    yield lines.map((line) => row([run.id, ...keys.map((key) => own(line, key))])).join("");
  }
}

function own(line: JsonlRecord, key: string): unknown {
  return Object.hasOwn(line, key) ? line[key] : null;
}

function row(cells: readonly unknown[]): string {
  return cells.map(cell).join(",") + "\r\n";
}

function cell(value: unknown): string {
  const text = value === null || value === undefined
    ? ""
    : typeof value === "object"
    ? JSON.stringify(value)
    : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
