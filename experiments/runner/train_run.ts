/**
 * Training one run of an experiment: a new one, or one that goes on from its checkpoint, to its end or to a rung. Each is a run like
 * any other, recorded beside the experiment's folder and naming it as its parent.
 */

import { basename } from "path";
import { UserError } from "../../common/mod.ts";
import {
  beginRun,
  type Recorder,
  type RunConfig,
  type RunStore,
  runToResume,
  type TrainingJob,
  type TrainingProgress,
  type TrainingResult,
  TrainSession,
} from "../../pipeline/mod.ts";

/** What is to be trained, and who is told. */
export interface TrainRunOptions {
  runs: RunStore;
  /** Id of the experiment. */
  parent: string;
  /** What a new run is called, and its labels. */
  name: string;
  tags: string[];
  config: RunConfig;
  /** Folder of the prepared dataset; prepared from the configuration when left out. */
  dataset?: string | undefined;
  /** Folder of the run to go on with; a new one when left out. */
  dir?: string | undefined;
  /** Step after which it is to end for now. */
  pauseAt?: number | undefined;
  /** Called once, with what can end the training early, its state saved, or leave it at once. */
  onSession: (session: Pick<TrainSession, "stop" | "abandon">) => void;
  /** Called when the run has its folder and before it trains, with its id. */
  onBegin: (id: string) => Promise<void>;
  onProgress: (progress: TrainingProgress) => void;
  warn: (line: string) => void;
}

/**
 * Trains.
 *
 * @returns how it ended; undefined when the run that was to go on had come to its end before
 * @throws UserError for what is wrong with this run; it is then recorded as failed
 */
export async function trainRun(options: TrainRunOptions): Promise<TrainingResult | undefined> {
  const { runs, parent, name, tags, config, dataset, dir, pauseAt, onBegin, onProgress, warn } = options;
  let job: TrainingJob = { config, parent, name, tags };
  if (dir !== undefined) {
    const resumed = await runToResume(dir, runs, {});
    if (resumed.completed !== undefined) return undefined;
    job = resumed.job;
  }
  if (dataset !== undefined) job = { ...job, dataset };
  if (pauseAt !== undefined && pauseAt < config.training.max_steps) job = { ...job, pauseAt };
  const session = new TrainSession({
    job,
    begin: async (preview) => {
      preview.warnings.forEach((line) => warn(`warning: ${line}`));
      const recorder = await beginRun(runs, job, preview, warn);
      await onBegin(basename(recorder.dir));
      return recorder;
    },
    onProgress,
    onWarning: warn,
  });
  options.onSession(session);
  return await session.run();
}

/** Seconds of a pilot that are timed: a tenth of the budget, but neither too few to tell nor tiresome. */
const pilotSeconds = (budget: number) => Math.min(10, Math.max(2, budget / 10));

/** Least steps of a pilot that are timed. */
const PILOT_STEPS = 5;

/** What a pilot needs beside a run's options. */
export interface PilotOptions extends Pick<TrainRunOptions, "config" | "onSession" | "warn"> {
  /** Folder for what it leaves; the caller removes it. */
  dir: string;
  /** The budget in seconds. */
  seconds: number;
}

/**
 * Measures how many steps a second a configuration trains, evaluations and the first steps' compilation not counted, by training
 * it for a while. It leaves no run.
 *
 * @returns undefined when it was stopped before enough was seen
 * @throws UserError when it cannot be trained
 */
export async function measureStepRate(
  { config, dir, seconds, onSession, warn }: PilotOptions,
): Promise<number | undefined> {
  const { training } = config;
  const undisturbed = { eval_interval: 0, sample_interval: 0, checkpoint_interval: 0, log_interval: 1 };
  const recorder: Recorder = { dir, metrics() {}, sample() {}, event() {}, finish() {} };
  let first: { step: number; time: number } | undefined;
  let rate: number | undefined;
  const session = new TrainSession({
    // Its schedule is a long one, so that it does not come to its end.
    job: { config: { ...config, training: { ...training, ...undisturbed, max_steps: 1e9 } } },
    begin: () => Promise.resolve(recorder),
    onProgress: ({ step, train_loss, doing }) => {
      if (train_loss === null || doing !== null || rate !== undefined) return;
      const time = performance.now() / 1000;
      first ??= { step, time };
      const [steps, took] = [step - first.step, time - first.time];
      if (steps < PILOT_STEPS || took < pilotSeconds(seconds)) return;
      rate = steps / took;
      session.stop();
    },
    onWarning: warn,
  });
  onSession(session);
  const result = await session.run();
  if (result === undefined) throw new UserError("the training did not begin");
  return rate;
}
