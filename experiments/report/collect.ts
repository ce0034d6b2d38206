/** All that the reports of an experiment are made of: its state, and what its runs' folders say. */

import { join } from "path";
import { userPath } from "../../common/mod.ts";
import type { PlannedVariant } from "../runner/experiment_plan.ts";
import type { ExperimentEntry, ExperimentState } from "../runner/experiment_state.ts";
import type { Metric } from "../runner/metrics.ts";
import { readRunData, type RunData } from "../runner/run_data.ts";
import { entriesOf } from "../runner/schedule.ts";
import { type Spread, spreadOf } from "./statistics.ts";

/** A run as the reports see it. */
export interface ReportedRun {
  entry: ExperimentEntry;
  /** Undefined where it has no folder. */
  data: RunData | undefined;
}

/** A variant as the reports see it. */
export interface ReportedVariant {
  plan: PlannedVariant;
  runs: ReportedRun[];
  /** How a metric's final values lie over the seeds that came to their end; null where none did. */
  spread: (metric: Metric) => Spread | null;
  /** The final values themselves, in the order of the seeds. */
  values: (metric: Metric) => number[];
}

/** An experiment as the reports see it. */
export interface ReportedExperiment {
  state: ExperimentState;
  variants: ReportedVariant[];
}

/** Reads all runs of an experiment. Throws `UserError` when one cannot be read. */
export async function collect(state: ExperimentState): Promise<ReportedExperiment> {
  const runsDir = userPath(state.config.output.runs_dir);
  const variants: ReportedVariant[] = [];
  for (const plan of state.variants) {
    const runs: ReportedRun[] = [];
    for (const entry of entriesOf(state, plan)) {
      const data = entry.run === null
        ? undefined
        : await readRunData(join(runsDir, entry.run), plan.device_memory_bytes);
      runs.push({ entry, data });
    }
    const values = (metric: Metric) =>
      runs.flatMap(({ entry, data }) => entry.status === "completed" ? data?.metrics[metric] ?? [] : []);
    variants.push({ plan, runs, values, spread: (metric) => spreadOf(values(metric)) });
  }
  return { state, variants };
}
