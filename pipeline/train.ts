/**
 * Training from a script, in the script's own thread. The device makes that thread wait, so timers and signals are
 * served only now and then; the command trains in a worker instead (`train_session.ts`).
 */

import { UserError, userPath } from "../common/mod.ts";
import type { Dataset } from "../data/mod.ts";
import { ensureAdapter } from "../gpu/mod.ts";
import { type LoadedModel, loadModel } from "../models/mod.ts";
import { openTraining, type TrainingJob } from "./open_training.ts";
import type { Recorder, RunStore } from "./recorder.ts";
import { beginRun, findRun, runToResume } from "./resume.ts";
import { resolveRunConfig } from "./run_config.ts";
import { type ScriptConfig, scriptSource } from "./script_config.ts";
import type { TrainingProgress, TrainingResult } from "./training_result.ts";

/** What to train, and how. */
export interface TrainOptions extends ScriptConfig {
  /** What to train on; the config's section `data` is prepared when left out. */
  data?: Dataset;
  /** Folder or name of a run to go on with, or `auto` for the latest of this config (a new one if there is none). */
  resume?: string;
  /** Step after which training ends early, saved, so that `resume` goes on; the schedule is that of all steps. */
  pause_at?: number;
  /** Ends training after the running step, with its state saved. */
  signal?: AbortSignal;
  /** Gets how training stands, about twice a second. */
  onProgress?: (progress: TrainingProgress) => void;
  /** Gets each text that the model writes in between. */
  onSample?: (sample: { step: number; prompt: string; text: string }) => void;
  /** Gets warnings, one line each. @default standard error */
  warn?: (line: string) => void;
}

/** A run that has ended, and its model. */
export interface TrainedRun extends TrainingResult {
  /** The run's folder, absolute. */
  dir: string;
  /** The trained weights with their tokenizer, to be given to `generate`. */
  model: LoadedModel;
}

/**
 * Trains a model and records the run.
 *
 * @param runs where runs are kept
 * @throws UserError when configuration, data, adapter or memory will not do, a loss is not finite, or nothing can be saved.
 */
export async function trainWith(options: TrainOptions, runs: RunStore): Promise<TrainedRun> {
  const warn = options.warn ?? ((line: string) => console.error(line));
  const job = await jobOf(options, runs);
  await ensureAdapter({ log: warn });
  const training = await openTraining(job, options.data, { note: () => {}, warn });
  const stop = new Int32Array(1);
  const onAbort = () => stop[0] = 1;
  options.signal?.addEventListener("abort", onAbort);
  if (options.signal?.aborted) onAbort();
  try {
    training.preview.warnings.forEach((line) => warn(`warning: ${line}`));
    const recorder = await beginRun(runs, job, training.preview, warn);
    const watched: Recorder = {
      dir: recorder.dir,
      metrics: (line) => recorder.metrics(line),
      sample: (line) => {
        recorder.sample(line);
        options.onSample?.(line);
      },
      event: (line) => recorder.event(line),
      finish: (status, summary) => recorder.finish(status, summary),
    };
    const trainer = await training.start({
      recorder: watched,
      stop,
      warn,
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    });
    const result = await trainer.run();
    return { ...result, dir: recorder.dir, model: await loadModel(recorder.dir) };
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    training.close();
  }
}

async function jobOf(options: TrainOptions, runs: RunStore): Promise<TrainingJob> {
  const { configPath, flags } = scriptSource(options);
  flags["data.corpus"] = options.data?.header.name; // the run's record names what it was trained on, whatever the file says
  const config = await resolveRunConfig({ configPath, flags });
  const pause = options.pause_at === undefined ? {} : { pauseAt: options.pause_at };
  if (options.resume === undefined) return { config, ...pause };
  const { runs_dir, name } = config.tracking;
  const dir = await findRun(options.resume, runs, { runsDir: userPath(runs_dir), configName: name });
  if (dir === undefined) return { config, ...pause };
  const { job, completed } = await runToResume(dir, runs, { flags });
  if (completed === undefined) return { ...job, ...pause };
  throw new UserError("the run has come to its end", { hint: "give training.max_steps a larger number" });
}
