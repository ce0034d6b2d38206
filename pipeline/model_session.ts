/**
 * A model at hand: trained some steps at a time, looked at, asked, trained on. For scripts and notebooks; it lives in their
 * thread, which the device makes wait. The same config and seed give the weights that `train` gives with default tiles (`--no-tune`), bit for bit. Left out:
 * a run's record, for which there is `startRun`, and all that happens by intervals, which is the caller's to decide.
 */

import { join } from "path";
import { displayPath, exists, makeFolder, UserError, userPath, writeFileAtomic } from "../common/mod.ts";
import type { Dataset } from "../data/mod.ts";
import { ensureAdapter } from "../gpu/mod.ts";
import {
  type AdapterBase,
  checkpointSteps,
  discardCheckpointsAfter,
  Generator,
  type ModelConfig,
  pruneCheckpoints,
  type StepMetrics,
  type TrainableModel,
  type Weights,
} from "../models/mod.ts";
import { type Attention, attentionOver } from "./attention.ts";
import { CheckpointKeeper } from "./checkpoint_keeper.ts";
import { generateText, type TextOptions } from "./generate_text.ts";
import { checkFinite, findNotFinite, notFiniteError, NotFiniteStep } from "./not_finite.ts";
import { type OpenTraining, openTraining, type TrainingPreview } from "./open_training.ts";
import { Probe, type ValidationLoss } from "./probe.ts";
import { resolveRunConfig, type RunConfig, toYaml } from "./run_config.ts";
import { learningRate } from "./schedule.ts";
import { scriptSource, type SectionKeys } from "./script_config.ts";
import { StepRunner } from "./step_runner.ts";
import type { TrainingState } from "./training_state.ts";

/** What model to open, and how to train it. */
export interface SessionOptions {
  /** Path of a run config (`configs/models/…`), or keys of the section `model`; defaults fill what is missing. */
  model?: string | SectionKeys;
  /** What to train on; the config's section `data` is prepared when left out. */
  data?: Dataset;
  /** Keys of the section `training`, such as `learning_rate`. `max_steps` is where the schedule ends, not the training. */
  training?: SectionKeys;
  /** Folder that `save` wrote, to go on from exactly there; `model` is then left out. */
  from?: string;
  /** Gets warnings, one line each. @default standard error */
  warn?: (line: string) => void;
}

/** What was measured at one step. */
export interface StepLine {
  step: number;
  /** Tokens trained on so far. */
  tokens: number;
  /** Mean over the step's tokens before its update, in nats per token. */
  train_loss: number;
  learning_rate: number;
  /** Norm of the gradient over all parameters before clipping. */
  grad_norm: number;
}

/** A model at hand. `close` or `using` frees it. */
export class ModelSession implements Disposable {
  /** The resolved configuration. */
  readonly config: RunConfig;
  /** What the model is. */
  readonly model: ModelConfig;
  /** What it is trained on, with the tokenizer. */
  readonly data: Dataset;
  /** Numbers of parameters, memory, FLOPs of a step, adapter. */
  readonly preview: TrainingPreview;
  /** One line for each step that this session trained. */
  readonly metrics: StepLine[] = [];
  readonly #training: OpenTraining;
  readonly #model: TrainableModel;
  readonly #base: AdapterBase | undefined;
  readonly #state: TrainingState;
  readonly #runner: StepRunner;
  readonly #probe: Probe;
  #generator: Generator | undefined;
  #step: number;
  #failure: UserError | undefined;
  #isBusy = false;

  /**
   * For `openSession`.
   * @internal
   */
  constructor(
    config: RunConfig,
    training: OpenTraining,
    parts: Awaited<ReturnType<OpenTraining["startAlone"]>>,
  ) {
    const { gpu, dataset, preview } = training;
    const { model } = parts;
    this.config = config;
    this.model = preview.model;
    this.data = dataset;
    this.preview = preview;
    this.#training = training;
    this.#model = model;
    this.#base = parts.base;
    this.#state = structuredClone(parts.state);
    this.#step = preview.step;
    this.#runner = new StepRunner({
      model,
      dataset,
      training: config.training,
      onResults: (results, seconds) => this.#take(results, seconds),
    });
    this.#probe = new Probe({ gpu, config, dataset, model, isStopped: () => false, onProgress: () => {} });
  }

  /** Optimizer steps done. */
  get step(): number {
    return this.#step;
  }

  /**
   * Trains on.
   *
   * @param steps how many optimizer steps; beyond `training.max_steps` the learning rate stays as it is there
   * @returns a line for each of them, as they stand in `metrics` too
   * @throws UserError when a loss or gradient is not finite; the session is then of no more use for training
   */
  async train(steps = 1): Promise<StepLine[]> {
    if (!Number.isSafeInteger(steps) || steps < 0) {
      throw new UserError(`expected a number of steps, got ${steps}`);
    }
    return await this.#alone(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      const before = this.metrics.length;
      try {
        await this.#runner.advance(this.#step, this.#step + steps, () => false);
      } catch (thrown) {
        if (!(thrown instanceof NotFiniteStep)) throw thrown;
        throw this.#failure = await this.#diagnose(thrown.metrics);
      }
      return this.metrics.slice(before);
    });
  }

  /**
   * Measures the loss on the validation split.
   *
   * @param options batches: how many to look at, spread evenly over the split; all of it when left out
   */
  async evaluate({ batches }: { batches?: number } = {}): Promise<ValidationLoss> {
    return await this.#alone(async () => (await this.#probe.validationLoss(batches))!); // never stopped
  }

  /** Writes a text, piece by piece, as `generate` does; what is left out is the config's. One text at a time. */
  generate(options: TextOptions = {}): AsyncGenerator<string> {
    const { num_samples: _count, ...settings } = this.config.generation;
    this.#generator ??= new Generator(this.#training.gpu, this.model, this.#model.store);
    return generateText(this.#generator, this.data.tokenizer, { ...settings, ...options });
  }

  /** A text as a whole, the prompt not in it; see `generate`. */
  async write(prompt: string, options: TextOptions = {}): Promise<string> {
    return (await Array.fromAsync(this.generate({ ...options, prompt }))).join("");
  }

  /**
   * What each token of a text attends to, in one layer.
   *
   * @param options layer: counted from 0, the first when left out
   * @throws UserError when the text is empty or longer than the context, or there is no such layer
   */
  async attention(text: string, { layer = 0 }: { layer?: number } = {}): Promise<Attention> {
    const { gpu } = this.#training;
    const { tokenizer } = this.data;
    const { store } = this.#model;
    return await this.#alone(() => attentionOver({ gpu, config: this.model, store, tokenizer }, text, layer));
  }

  /** All weights by name, as they are now. */
  async weights(): Promise<Weights> {
    return await this.#alone(() => this.#model.weights());
  }

  /**
   * Saves the model with all that is needed to go on: `openSession({ from: dir })` does so, and `generate`, `--init-from` and
   * `chatgot export` take the folder as they take a run's. What an earlier session saved there is replaced.
   *
   * @param dir relative ones start where the user stands
   * @returns the folder, absolute
   * @throws UserError when it is a run's folder, whose checkpoints are its own, or cannot be written
   */
  async save(dir: string): Promise<string> {
    const folder = userPath(dir);
    if (await exists(join(folder, "run.json"))) {
      throw new UserError("is the folder of a run", {
        file: displayPath(folder),
        hint: "choose another one",
      });
    }
    return await this.#alone(async () => {
      await makeFolder(folder);
      await writeFileAtomic(join(folder, "config.yaml"), toYaml(this.config));
      const keeper = new CheckpointKeeper({
        model: this.#model,
        tokenizer: this.data.tokenizer,
        base: this.#base,
        recorder: { dir: folder, metrics() {}, sample() {}, event() {}, finish() {} },
        keep: Infinity,
        savedStep: undefined,
        warn: () => {},
      });
      await keeper.save(this.#step, this.#state);
      if (keeper.failure !== undefined) throw keeper.failure;
      await discardCheckpointsAfter(folder, this.#step);
      await pruneCheckpoints(folder, 1);
      return folder;
    });
  }

  /** Frees the model and its device. */
  close(): void {
    this.#probe.destroy();
    this.#generator?.destroy();
    this.#training.close();
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Runs one thing at a time: they share the device's buffers. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isBusy) {
      throw new UserError("the session is still at work", { hint: "await what was asked of it before" });
    }
    this.#isBusy = true;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
    }
  }

  #take(results: StepMetrics[], secondsPerStep: number): void {
    const { training } = this.config;
    const { batch_size, max_seq_length, accumulate_grad_batches } = training;
    for (const metrics of results) {
      checkFinite(metrics);
      const { step, loss, grad_norm } = metrics;
      this.#step = step;
      this.#state.train_loss = loss;
      this.#state.seconds += secondsPerStep;
      this.metrics.push({
        step,
        tokens: step * batch_size * max_seq_length * accumulate_grad_batches,
        train_loss: loss,
        learning_rate: learningRate(step - 1, training),
        grad_norm,
      });
    }
  }

  async #diagnose(metrics: StepMetrics): Promise<UserError> {
    this.#runner.repeat(metrics.step); // its gradients again: later steps have overwritten them
    const tensor = await findNotFinite(this.#model);
    return notFiniteError({ ...metrics, tensor }, "what was saved before this step is sound");
  }
}

/**
 * Opens a model, to be trained some steps at a time in this thread.
 *
 * @throws UserError when configuration, data, adapter or memory will not do.
 *
 * @example
 * ```ts ignore
 * import { openSession, prepare } from "../mod.ts";
 * const data = await prepare("moby-dick", { tokenizer: "char" });
 * using session = await openSession({ model: { n_layer: 2 }, data, training: { learning_rate: 3e-3 } });
 * console.log(await session.train(100), await session.evaluate({ batches: 20 }));
 * console.log(await session.write("Call me ", { top_k: 40 }));
 * ```
 */
export async function openSession(options: SessionOptions = {}): Promise<ModelSession> {
  const { model, data, from, warn = (line: string) => console.error(line) } = options;
  if (from !== undefined && model !== undefined) {
    throw new UserError("model and from cannot both be given", { hint: "a saved session knows its model" });
  }
  const folder = from === undefined ? undefined : userPath(from);
  const { configPath, flags } = scriptSource(options);
  const config = await resolveRunConfig({
    configPath: folder === undefined ? configPath : join(folder, "config.yaml"),
    settled: folder !== undefined,
    flags: { ...flags, "data.corpus": data?.header.name },
  });
  await ensureAdapter({ log: warn });
  const training = await openTraining(await jobOf(config, folder), data);
  try {
    training.preview.warnings.forEach((line) => warn(`warning: ${line}`));
    return new ModelSession(config, training, await training.startAlone());
  } catch (error) {
    training.close();
    throw error;
  }
}

/** The job that opens the model. A session may have trained beyond its schedule, a run may not. */
async function jobOf(config: RunConfig, folder: string | undefined) {
  if (folder === undefined) return { config };
  const [newest] = await checkpointSteps(folder);
  if (newest === undefined) throw new UserError("holds no saved session", { file: displayPath(folder) });
  const max_steps = Math.max(config.training.max_steps, newest);
  return { config: { ...config, training: { ...config.training, max_steps } }, resume: folder };
}
