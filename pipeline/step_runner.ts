/**
 * Running steps without waiting for any one of them: each is handed to the device as soon as it can be, and results come
 * home a batch at a time while the device works on. Reading results waits for the device, so it is done seldom;
 * but what is handed over cannot be called back, so never more than half a second's work is.
 */

import type { Dataset } from "../data/mod.ts";
import { type KernelTime, stepSeconds } from "../gpu/mod.ts";
import { METRICS_RING, type MicroBatch, type StepMetrics, type TrainableModel } from "../models/mod.ts";
import type { TrainingConfig } from "./config.ts";
import { learningRate } from "./schedule.ts";
import { NO_TIMES, TrainingTimes } from "./training_times.ts";

/** Work that may be on the device at once, in seconds. */
const SECONDS_AHEAD = 0.5;

/** Seconds from one step that is timed on the device to the next: waiting for it costs some 10 ms. */
const TIMED_EVERY = 10;

/** What a runner works on. */
export interface StepRunnerOptions {
  model: TrainableModel;
  dataset: Dataset;
  training: TrainingConfig;
  /** Gets where the time goes. */
  times?: TrainingTimes;
  /** Whether to time a step on the device now and then. @default where times are wanted and timestamps measure */
  isTiming?: boolean;
  /** Gets the results of steps in order, and the seconds that each of them took. */
  onResults: (results: StepMetrics[], secondsPerStep: number) => void;
}

/** Runs training steps. */
export class StepRunner {
  readonly #o: StepRunnerOptions;
  readonly #times: TrainingTimes;
  readonly #isTiming: boolean;
  /** Most steps between two readings. */
  readonly #most: number;
  /** Seconds per step at the last reading. */
  #secondsPerStep = Infinity;
  /** When the device had done all steps that were read, or began. */
  #since = 0;
  /** When a step was timed on the device. */
  #timed = -Infinity;

  constructor(options: StepRunnerOptions) {
    this.#o = options;
    this.#times = options.times ?? new TrainingTimes(NO_TIMES);
    this.#isTiming = options.isTiming ?? (options.times !== undefined && options.model.hasTimes);
    const { log_interval, accumulate_grad_batches } = options.training;
    // One more step is on its way while results are read.
    this.#most = Math.min(log_interval, Math.floor(METRICS_RING / accumulate_grad_batches) - 1);
  }

  /** Does the steps after `done` up to `until`, or until `isStopped`. All their results are in when this settles. */
  async advance(done: number, until: number, isStopped: () => boolean): Promise<void> {
    const { model } = this.#o;
    let step = done;
    let reading: Promise<() => void> | undefined;
    this.#since = performance.now();
    while (step < until && !isStopped()) {
      await this.#submit(++step);
      const handOver = await reading;
      handOver?.();
      reading = undefined;
      if (model.unreadSteps >= this.#stepsAhead || step === until) {
        reading = this.#read(); // waits for the device at once, and settles 10 ms later, when more work is there
      }
    }
    (await reading)?.();
    if (model.unreadSteps > 0) (await this.#read())(); // stopped between two readings
  }

  /** Does a step once more without moving the weights, so that its gradients stand on the device. */
  repeat(step: number): void {
    this.#o.model.step(step, 0, this.#batches(step));
  }

  async #submit(step: number): Promise<void> {
    const { model, training } = this.#o;
    const batches = this.#times.prepare(() => this.#batches(step));
    const rate = learningRate(step - 1, training);
    if (!this.#isTiming || performance.now() < this.#timed + 1000 * TIMED_EVERY) {
      return model.step(step, rate, batches);
    }
    const kernels = await model.timedStep(step, rate, batches);
    this.#timed = performance.now();
    // Of a step of more kernels than can be timed, nothing is known.
    if (kernels.length === model.dispatches().length) this.#times.timed(stepSeconds(kernels, batches.length));
  }

  /** Times the kernels of a step; the weights are spoilt by it. */
  async profile(step: number): Promise<KernelTime[]> {
    return await this.#o.model.profile(step, this.#batches(step));
  }

  /** The micro-batches of a step: a pure function of seed and step. */
  #batches(step: number): MicroBatch[] {
    const { seed, batch_size, max_seq_length, accumulate_grad_batches: count } = this.#o.training;
    return Array.from({ length: count }, (_, i) => {
      const number = (step - 1) * count + i;
      return this.#o.dataset.batch("train", { seed, step: number, batch_size, max_seq_length });
    });
  }

  /** Reads the results of all steps handed over so far; what it settles with hands them on. */
  async #read(): Promise<() => void> {
    const steps = this.#o.model.unreadSteps;
    const results = this.#o.model.readMetrics(); // the device has done the steps when this call returns
    const now = performance.now();
    const secondsPerStep = this.#secondsPerStep = (now - this.#since) / 1000 / steps;
    this.#since = now;
    const metrics = await results;
    return () => this.#o.onResults(metrics, secondsPerStep);
  }

  get #stepsAhead(): number {
    return Math.max(1, Math.min(this.#most, Math.floor(SECONDS_AHEAD / this.#secondsPerStep)));
  }
}
