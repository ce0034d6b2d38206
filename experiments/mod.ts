/** The door of `experiments/`: the run tracker. */

export { readMetrics } from "./tracker/lines.ts";
export { latestRun } from "./tracker/run_folder.ts";
export { readRun, RunRecord } from "./tracker/run_record.ts";
export { createRun, reserveRun, resumeRun, type TrackerOptions } from "./tracker/tracker.ts";
