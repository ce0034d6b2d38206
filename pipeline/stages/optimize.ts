/**
 * The stage `optimize`: searches for the batch size of best throughput and for better settings than the configuration's, within
 * a budget of seconds. Makes `artifacts/optimization.json`. What it has chosen once stays: a damaged file is written again from
 * the pipeline's own record.
 */

import { join } from "path";
import { sha256, writeFileAtomic } from "../../common/mod.ts";
import { ensureAdapter } from "../../gpu/mod.ts";
import { search, type SearchReport } from "../optimize/search.ts";
import type { ProcessResult } from "./process.ts";
import { initialModelSource, type Stage } from "./stage.ts";
import { isTrainingKey } from "./training_keys.ts";

/** Keys that make a training longer or end it earlier, and change nothing of what is compared. */
const LENGTH = ["training.max_steps", "training.decay_steps", "training.early_stopping_patience"];

/** What this stage's record says came out. */
export interface OptimizeResult {
  /** The values that are chosen, by key of the configuration. */
  choice: Record<string, unknown>;
  /** How many trainings were tried. */
  trials: number;
  report: SearchReport;
}

/** Searches for better settings. */
export const optimizeStage: Stage = {
  name: "optimize",
  after: ["process"],
  dependsOn: (key, config) =>
    !LENGTH.includes(key) && isTrainingKey(key, {
      ...config,
      training: { ...config.training, early_stopping_patience: undefined },
    }),
  sources: initialModelSource,

  async run({ dir, config, runs, before, reason, records, budgetSeconds, signal, hooks }) {
    const warn = (line: string) => hooks.onWarning?.(line);
    const isKept = ["outputs", "unfinished"].includes(reason) && before?.result.choice !== undefined;
    let result = before?.result as unknown as OptimizeResult;
    if (!isKept) {
      await ensureAdapter({ log: warn });
      const report = await search({
        dir,
        config,
        runs,
        dataset: (records.process!.result as unknown as ProcessResult).folder,
        budgetSeconds,
        signal,
        warn,
        note: (line) => hooks.onNote?.(line),
      });
      result = { choice: report.choice, trials: report.batches.length + report.candidates.length, report };
    }
    const path = join(dir, "artifacts", "optimization.json");
    await writeFileAtomic(path, JSON.stringify(result.report, null, 2) + "\n");
    return { outputs: [path], digest: sha256(JSON.stringify(result.choice)), result: { ...result } };
  },
};
