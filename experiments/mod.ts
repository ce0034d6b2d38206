/** The door of `experiments/`: the run tracker, and reading what it wrote. */

export { BEGINNING, type Place, readAppended } from "./reading/appended_lines.ts";
export { flatten } from "./reading/flatten.ts";
export { type MetricSeries, MetricsFollower, readMetrics } from "./reading/metric_series.ts";
export type { RunEntry, RunState } from "./reading/run_entry.ts";
export { listRuns, type RefreshOptions, RunIndex } from "./reading/run_index.ts";
export { readLines, type RunStream } from "./reading/run_lines.ts";
export type { MetricsSummary, MetricSummary } from "./tracker/metric_summary.ts";
export { latestRun } from "./tracker/run_folder.ts";
export { readRun, RunRecord } from "./tracker/run_record.ts";
export { createRun, reserveRun, resumeRun, type TrackerOptions } from "./tracker/tracker.ts";
