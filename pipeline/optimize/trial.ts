/**
 * A trial: a short training in a worker, tracked as a run of its own that names the run which searches. It trains to a step,
 * stands still there with its state saved, and may go on later.
 */

import { basename, join } from "path";
import { UserError } from "../../common/mod.ts";
import type { TrainingJob, TrainingPreview } from "../open_training.ts";
import type { Recorder, RunStore } from "../recorder.ts";
import { beginRun } from "../resume.ts";
import type { RunConfig } from "../run_config.ts";
import { Interrupted } from "../stages/stage.ts";
import { TrainSession } from "../train_session.ts";

/** What all trials of a search share. */
export interface TrialSurroundings {
  runs: RunStore;
  /** Id of the run that searches. */
  parent: string;
  /** Folder of the prepared dataset. */
  dataset: string;
  /** Asks the search to end. */
  signal: AbortSignal;
  /** When the search must end, on the clock of `performance.now`; Infinity for a trial that is always made. */
  deadline: number;
  warn: (line: string) => void;
}

/** How a trial came out. */
export interface TrialOutcome {
  /**
   * `reached` the step; `stopped` before, by the end of the budget; `failed`, such as by a loss that is not finite;
   * `refused` before it began, such as by the memory plan.
   */
  status: "reached" | "stopped" | "failed" | "refused";
  /** Why it failed or was refused. */
  why: string | null;
  /** Name of the trial's run; null where none was begun. */
  run: string | null;
  /** Seconds from the start of its worker to its end. */
  seconds: number;
  /** Tokens per second of each interval of steps, in their order; the first has the compilation in it. */
  rates: number[];
  /** Validation loss of the last evaluation at the step that was to be reached, in nats per token. */
  loss: number | null;
  /** Bytes that the memory plan counts; null where there is none. */
  memory: number | null;
  adapter: string | null;
}

/** A trial that begins now or goes on later. */
export class Trial {
  readonly #config: RunConfig;
  readonly #in: TrialSurroundings;
  #dir: string | undefined;
  #kernelChoices: TrainingPreview["kernelChoices"] | undefined;

  constructor(config: RunConfig, surroundings: TrialSurroundings) {
    this.#config = config;
    this.#in = surroundings;
  }

  /**
   * Trains up to a step.
   *
   * @param deadline when it must end, if not as was said of all trials
   * @throws Interrupted when the search was asked to end
   */
  async advance(pauseAt: number, deadline: number = this.#in.deadline): Promise<TrialOutcome> {
    const { runs, parent, dataset, signal, warn } = this.#in;
    const began = performance.now();
    const outcome: TrialOutcome = {
      status: "refused",
      why: null,
      run: null,
      seconds: 0,
      rates: [],
      loss: null,
      memory: null,
      adapter: null,
    };
    const job: TrainingJob = {
      config: this.#config,
      parent,
      dataset,
      pauseAt,
      ...(this.#dir === undefined ? {} : { resume: this.#dir }),
      ...(this.#kernelChoices === undefined ? {} : { kernelChoices: this.#kernelChoices }),
    };
    const session = new TrainSession({
      job,
      begin: async (preview) => {
        outcome.memory = preview.memory.total;
        outcome.adapter = preview.kernelChoices.adapter;
        const recorder = await beginRun(runs, job, preview, warn);
        this.#dir = recorder.dir;
        this.#kernelChoices = preview.kernelChoices;
        outcome.status = "failed";
        return observed(recorder, pauseAt, outcome);
      },
      onWarning: warn,
    });
    const stop = () => session.stop();
    signal.addEventListener("abort", stop);
    const timer = Number.isFinite(deadline)
      ? setTimeout(() => session.cancel(), Math.max(0, deadline - began))
      : undefined;
    try {
      const result = await session.run();
      outcome.status = (result?.steps ?? 0) >= pauseAt ? "reached" : "stopped";
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      outcome.why = error.describe();
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
    if (signal.aborted) throw new Interrupted();
    outcome.seconds = (performance.now() - began) / 1000;
    outcome.run = this.#dir === undefined ? null : basename(this.#dir);
    return outcome;
  }

  /** Drops the trial's weights; its record stays. */
  async dropWeights(): Promise<void> {
    if (this.#dir !== undefined) await dropWeights(this.#dir);
  }
}

/** Drops the weights of trials that a killed search of the same run has left. */
export async function dropLeftWeights(runsDir: string, parent: string, runs: RunStore): Promise<void> {
  for await (const { name } of Deno.readDir(runsDir)) {
    if (!name.includes("_trial_")) continue;
    const dir = join(runsDir, name);
    const record = await runs.readRun(dir).catch(() => undefined);
    if (record?.parents.includes(parent)) await dropWeights(dir);
  }
}

/** They are in nobody's way where they cannot be removed. */
async function dropWeights(dir: string): Promise<void> {
  await Deno.remove(join(dir, "checkpoints"), { recursive: true }).catch(() => {});
}

/** The trial's recorder, with what is measured written into the outcome. A trial that stands still has done what it was to. */
function observed(recorder: Recorder, pauseAt: number, outcome: TrialOutcome): Recorder {
  return {
    dir: recorder.dir,
    metrics(line) {
      recorder.metrics(line);
      if (line.tokens_per_second !== undefined) outcome.rates.push(line.tokens_per_second);
      if (line.val_loss !== undefined && line.step === pauseAt) outcome.loss = line.val_loss;
    },
    sample: (line) => recorder.sample(line),
    event({ type, ...line }) {
      recorder.event({ type: type === "interrupted" && line.step >= pauseAt ? "paused" : type, ...line });
    },
    ...(recorder.flush === undefined ? {} : { flush: () => recorder.flush!() }),
    finish(status, summary) {
      const isDone = status === "interrupted" && Number(summary.steps) >= pauseAt;
      recorder.finish(isDone ? "completed" : status, summary);
    },
  };
}
