/** The pipeline from a script: the same as the command, with the names that scripts use. Stages that need the GPU run in workers. */

import { runPipeline } from "./pipeline.ts";
import type { PipelineReport } from "./pipeline_report.ts";
import type { StageName } from "./pipeline_state.ts";
import type { RunStore } from "./recorder.ts";
import type { PipelineHooks } from "./stages/stage.ts";
import { type ScriptConfig, scriptSource } from "./script_config.ts";

/** What a pipeline is to do. */
export interface PipelineOptions extends ScriptConfig, PipelineHooks {
  /** Folder or name of the run to go on with, or `auto` for the latest pipeline of this config (a new one if there is none). */
  resume?: string;
  /** The only stage to be done; those before it must be. @default "all" */
  stage?: StageName | "all";
  /** Do stages again although they are up to date. @default false */
  force_restart?: boolean;
  /** Take the dataset as it was prepared before, and do not look at the text. @default false */
  skip_process?: boolean;
  /** Do not search; a choice that the run has made stays in use. @default false */
  skip_optimization?: boolean;
  /** Search for batch size, learning rate, weight decay and warmup. @default whether a budget is given, or the run did before */
  auto_optimize?: boolean;
  /** Seconds that the search may take. @default 120 */
  optimization_time_budget?: number;
  /** Ends the pipeline, with its state saved. */
  signal?: AbortSignal;
}

/** How a pipeline from a script ended. */
export interface PipelineRun extends Omit<PipelineReport, "run"> {
  /** The run's folder, absolute; `generate` takes it. */
  dir: string;
}

/**
 * Runs a pipeline, or goes on with one.
 *
 * @param runs where runs are kept
 * @throws UserError when something is wrong with configuration, data, adapter or the run's files; what is done stays done
 */
export async function pipelineWith(options: PipelineOptions, runs: RunStore): Promise<PipelineRun> {
  const { run, ...report } = await runPipeline(
    {
      ...scriptSource(options),
      resume: options.resume,
      stage: options.stage,
      forceRestart: options.force_restart,
      skipProcess: options.skip_process,
      skipOptimization: options.skip_optimization,
      autoOptimize: options.auto_optimize,
      optimizationTimeBudget: options.optimization_time_budget,
      signal: options.signal,
    },
    runs,
    { onWarning: (line) => console.error(line), ...options },
  );
  return { dir: run!, ...report };
}
