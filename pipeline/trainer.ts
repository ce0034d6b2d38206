/**
 * The trainer: steps, and between them what is due: lines of metrics, evaluations, samples, checkpoints.
 *
 * Steps are handed to the device ahead of their results, at most half a second's work, and nothing waits for a single step.
 * Whatever decides how training goes on is in the checkpoint, so a run that was stopped or killed at any moment and
 * goes on from its checkpoint gives bit-identical losses and weights. Left out: opening things (`open_training.ts`), threads
 * and signals (`train_session.ts`).
 */

import { UserError } from "../common/mod.ts";
import type { Dataset } from "../data/mod.ts";
import type { Gpu, KernelTime } from "../gpu/mod.ts";
import type { AdapterBase, StepMetrics, TrainableModel } from "../models/mod.ts";
import { CheckpointKeeper } from "./checkpoint_keeper.ts";
import {
  checkFinite,
  findNotFinite,
  type NotFinite,
  notFiniteError,
  NotFiniteStep,
  wasSkipped,
} from "./not_finite.ts";
import { utilization } from "./peak.ts";
import { Probe } from "./probe.ts";
import type { Recorder } from "./recorder.ts";
import type { RunConfig } from "./run_config.ts";
import { learningRate } from "./schedule.ts";
import { StepRunner } from "./step_runner.ts";
import { TrainingTimes } from "./training_times.ts";
import type { TrainingProgress, TrainingResult } from "./training_result.ts";
import type { TrainingState } from "./training_state.ts";

/** Tokens of a sample during training; the one at the end has generation.max_new_tokens. */
const SHORT_SAMPLE = 120;

/** What a trainer works on. */
export interface TrainerOptions {
  gpu: Gpu;
  config: RunConfig;
  dataset: Dataset;
  /** With the weights and moments of `step`. */
  model: TrainableModel;
  /** Where adapters are trained, the model that they belong to. */
  base?: AdapterBase | undefined;
  /** Steps done. */
  step: number;
  state: TrainingState;
  /** Whether weights and state come from a checkpoint. */
  resumed: boolean;
  /** Step after which training ends early, saved and `interrupted`; the schedule is that of all steps. @default never */
  pauseAt?: number | undefined;
  /** What the model asks for, and what the adapter can do, in floating-point operations; the latter where it is known. */
  work?: { flops_per_token: number; peak_gflops: number | undefined };
  recorder: Recorder;
  /** Not 0 asks for an end after the running step; may be shared with another thread. */
  stop: Int32Array;
  onProgress?: (progress: TrainingProgress) => void;
  /** Gets warnings, one line each. */
  warn?: (line: string) => void;
}

/** Trains one run, once. */
export class Trainer {
  readonly #o: TrainerOptions;
  readonly #keeper: CheckpointKeeper;
  readonly #probe: Probe;
  readonly #runner: StepRunner;
  readonly #state: TrainingState;
  readonly #times: TrainingTimes;
  readonly #tokensPerStep: number;
  #step: number;
  /** Tokens per second over the last interval. */
  #rate: number | null = null;
  #intervalSeconds = 0;
  #intervalSteps = 0;

  constructor(options: TrainerOptions) {
    this.#o = options;
    const { config, dataset, model, recorder, resumed } = options;
    const { batch_size, max_seq_length, accumulate_grad_batches, keep_checkpoints } = config.training;
    this.#step = options.step;
    this.#state = structuredClone(options.state);
    this.#times = new TrainingTimes(this.#state.times);
    this.#tokensPerStep = batch_size * max_seq_length * accumulate_grad_batches;
    this.#runner = new StepRunner({
      model,
      dataset,
      training: config.training,
      times: this.#times,
      onResults: (results, secondsPerStep) => this.#take(results, secondsPerStep),
    });
    this.#probe = new Probe({
      ...options,
      isStopped: () => this.#isStopped,
      onProgress: (doing) => this.#progress(doing),
    });
    this.#keeper = new CheckpointKeeper({
      model,
      tokenizer: dataset.tokenizer,
      base: options.base,
      recorder,
      keep: keep_checkpoints,
      savedStep: resumed ? options.step : undefined,
      warn: options.warn ?? (() => {}),
    });
  }

  /**
   * Trains to the end or until `stop`, and ends the run's record.
   *
   * @throws UserError when a loss or gradient is not finite, the state cannot be saved at the end, or the device fails; the
   *   run is then recorded as failed.
   */
  async run(): Promise<TrainingResult> {
    const { recorder } = this.#o;
    try {
      return await this.#train();
    } catch (thrown) {
      const error = thrown instanceof NotFiniteStep ? await this.#diagnose(thrown.metrics) : thrown;
      recorder.event({ type: "failed", step: this.#step, message: describe(error) });
      recorder.finish("failed", { ...this.#summary(), error: describe(error) });
      throw error;
    } finally {
      this.#probe.destroy();
    }
  }

  /** Times the kernels of a step. To be called after `run`: it spoils the weights on the device. */
  async profile(): Promise<KernelTime[]> {
    return await this.#runner.profile(this.#step + 1);
  }

  async #train(): Promise<TrainingResult> {
    await this.#keeper.begin();
    await this.#pause(); // a run that was stopped may have left something undone
    while (!this.#isOver && !this.#isStopped && !this.#isPaused) {
      await this.#runner.advance(this.#step, this.#nextPause(), () => this.#isStopped);
      if (!this.#isStopped) await this.#pause();
    }
    if (this.#keeper.savedStep !== this.#step) await this.#save();
    if (this.#keeper.failure !== undefined) {
      const { message, file, hint } = this.#keeper.failure;
      throw new UserError(`the weights of step ${this.#step} could not be saved: ${message}`, {
        ...(file === undefined ? {} : { file }),
        ...(hint === undefined ? {} : { hint }),
      });
    }
    return this.#isOver ? await this.#conclude() : this.#interrupted();
  }

  get #isStopped(): boolean {
    return Atomics.load(this.#o.stop, 0) !== 0;
  }

  get #isPaused(): boolean {
    return this.#step >= (this.#o.pauseAt ?? Infinity);
  }

  get #isOver(): boolean {
    return this.#step >= this.#o.config.training.max_steps || this.#state.early_stopped;
  }

  /** The next step after which the weights must stand still for something. */
  #nextPause(): number {
    const { max_steps, eval_interval, sample_interval, checkpoint_interval } = this.#o.config.training;
    const nextOf = (interval: number) =>
      interval === 0 ? max_steps : (Math.floor(this.#step / interval) + 1) * interval;
    const { pauseAt = Infinity } = this.#o;
    return Math.min(max_steps, pauseAt, ...[eval_interval, sample_interval, checkpoint_interval].map(nextOf));
  }

  /** Takes in the results of steps, in order. */
  #take(results: StepMetrics[], secondsPerStep: number): void {
    this.#times.count(results.length);
    const { max_steps, log_interval } = this.#o.config.training;
    const state = this.#state;
    for (const metrics of results) {
      checkFinite(metrics);
      this.#step = metrics.step;
      if (wasSkipped(metrics)) {
        const { step, loss_scale } = metrics;
        this.#o.recorder.event({ type: "skipped", step, loss_scale });
      }
      state.loss_sum += metrics.loss;
      state.loss_count++;
      state.seconds += secondsPerStep;
      this.#intervalSeconds += secondsPerStep;
      this.#intervalSteps++;
      if (metrics.step % log_interval === 0 || metrics.step === max_steps) this.#logInterval(metrics);
    }
    this.#progress();
  }

  /** Writes the line of metrics of the steps since the last one; the loss is their mean, the norm that of the last. */
  #logInterval(metrics: StepMetrics): void {
    const { step, grad_norm, loss_scale } = metrics;
    const state = this.#state;
    state.train_loss = state.loss_sum / state.loss_count;
    this.#rate = this.#intervalSteps * this.#tokensPerStep / this.#intervalSeconds;
    this.#o.recorder.metrics({
      step,
      tokens: step * this.#tokensPerStep,
      train_loss: state.train_loss,
      learning_rate: learningRate(step - 1, this.#o.config.training),
      ...(wasSkipped(metrics) ? {} : { grad_norm }),
      ...(loss_scale === undefined ? {} : { loss_scale }),
      tokens_per_second: this.#rate,
    });
    [state.loss_sum, state.loss_count, this.#intervalSeconds, this.#intervalSteps] = [0, 0, 0, 0];
  }

  /** Does what is due after this step and was not done before: evaluation, sample, checkpoint. */
  async #pause(): Promise<void> {
    const { eval_interval, sample_interval, checkpoint_interval } = this.#o.config.training;
    const state = this.#state;
    const isDue = (interval: number) => interval > 0 && this.#step > 0 && this.#step % interval === 0;
    let isBest = false;
    if (!this.#isOver && isDue(eval_interval) && state.evaluated < this.#step) {
      isBest = await this.#evaluate();
    }
    if (!this.#isOver && !this.#isStopped && isDue(sample_interval) && state.sampled < this.#step) {
      await this.#sample();
    }
    const saved = this.#keeper.savedStep === this.#step;
    if ((isDue(checkpoint_interval) && !saved) || (isBest && checkpoint_interval > 0)) await this.#save();
  }

  async #save(): Promise<void> {
    this.#progress("checkpoint");
    this.#state.times = this.#times.now();
    const loss_scale = await this.#o.model.lossScale();
    if (loss_scale !== undefined) this.#state.loss_scale = loss_scale;
    await this.#times.spend("checkpoints", () => this.#keeper.save(this.#step, this.#state));
  }

  /** Evaluates during training; returns whether the loss is the least so far. A stop leaves it undone. */
  async #evaluate(): Promise<boolean> {
    const { eval_batches, early_stopping_patience: patience } = this.#o.config.training;
    const state = this.#state;
    const found = await this.#times.spend("evaluation", () => this.#probe.validationLoss(eval_batches));
    if (found === undefined) return false;
    const { val_loss } = found;
    Object.assign(state, { ...found, evaluated: this.#step });
    this.#o.recorder.metrics({ step: this.#step, tokens: this.#step * this.#tokensPerStep, ...found });
    const isBest = Number.isFinite(val_loss) && (state.best === null || val_loss < state.best.val_loss);
    if (isBest) state.best = { step: this.#step, val_loss };
    state.worse = isBest ? 0 : state.worse + 1;
    if (patience !== undefined && state.worse >= patience) {
      state.early_stopped = true;
      this.#o.recorder.event({ type: "early_stopped", step: this.#step, best: state.best });
    }
    this.#progress();
    return isBest;
  }

  async #sample(): Promise<void> {
    const text = await this.#times.spend("sampling", () => this.#probe.text(SHORT_SAMPLE));
    if (text === undefined) return;
    this.#state.sampled = this.#step;
    this.#o.recorder.sample({ step: this.#step, prompt: this.#o.config.generation.prompt, text });
  }

  /** The end: loss over the whole validation split and a longer sample, all recorded in one go. */
  async #conclude(): Promise<TrainingResult> {
    const { recorder, config } = this.#o;
    const found = await this.#times.spend("evaluation", () => this.#probe.validationLoss());
    const text = found && await this.#times.spend("sampling", () => this.#probe.text());
    if (found === undefined || text === undefined) return this.#interrupted();
    Object.assign(this.#state, { ...found, evaluated: this.#step });
    const summary = this.#summary();
    recorder.metrics({ step: this.#step, tokens: summary.tokens, ...found });
    recorder.sample({ step: this.#step, prompt: config.generation.prompt, text });
    recorder.finish("completed", summary);
    this.#progress();
    return { status: "completed", ...summary, sample: text };
  }

  #interrupted(): TrainingResult {
    const { recorder } = this.#o;
    recorder.event({ type: "interrupted", step: this.#step });
    const summary = this.#summary();
    recorder.finish("interrupted", summary);
    return { status: "interrupted", ...summary, sample: null };
  }

  /** Names the tensor in which a value that is not finite came up, and records the step. */
  async #diagnose(metrics: StepMetrics): Promise<UserError> {
    const { model, recorder } = this.#o;
    const { step } = metrics;
    this.#step = step;
    recorder.metrics({
      step,
      tokens: step * this.#tokensPerStep,
      train_loss: metrics.loss,
      grad_norm: metrics.grad_norm,
    });
    this.#runner.repeat(step); // its gradients again: later steps have overwritten them
    const tensor = await findNotFinite(model);
    const found: NotFinite = { ...metrics, tensor };
    recorder.event({
      type: "not_finite",
      ...found,
      loss: String(found.loss),
      grad_norm: String(found.grad_norm),
    });
    return notFiniteError(found, "the checkpoints before this step are sound");
  }

  #progress(doing: string | null = null): void {
    const { onProgress, config } = this.#o;
    const { train_loss, val_loss, evaluated, loss_sum, loss_count } = this.#state;
    onProgress?.({
      step: this.#step,
      max_steps: config.training.max_steps,
      train_loss: loss_count > 0 ? loss_sum / loss_count : train_loss,
      val_loss,
      evaluated,
      tokens_per_second: this.#rate,
      doing,
    });
  }

  #summary(): Omit<TrainingResult, "status" | "sample"> {
    const { train_loss, val_loss, val_bits_per_byte, best, early_stopped, seconds } = this.#state;
    const tokens = this.#step * this.#tokensPerStep;
    const tokens_per_second = seconds > 0 ? tokens / seconds : null;
    return {
      steps: this.#step,
      tokens,
      train_loss,
      val_loss,
      val_bits_per_byte,
      best,
      early_stopped,
      tokens_per_second,
      ...this.#utilization(tokens_per_second),
      seconds: this.#times.summary(seconds),
    };
  }

  #utilization(rate: number | null): Pick<TrainingResult, "mfu"> {
    const { flops_per_token = 0, peak_gflops } = this.#o.work ?? {};
    return rate === null || peak_gflops === undefined
      ? {}
      : { mfu: utilization(flops_per_token, rate, peak_gflops) };
  }
}

function describe(error: unknown): string {
  if (error instanceof UserError) return error.describe();
  return error instanceof Error ? error.message : String(error);
}
