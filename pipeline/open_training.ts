/**
 * From a run's configuration to a trainer: dataset, adapter, predicted memory, checkpoint; then, once the run has its
 * folder, weights on the device. What can be wrong is found before the folder is made or anything is allocated.
 */

import { displayPath, UserError } from "../common/mod.ts";
import { type Dataset, openDataset, prepare, type Tokenizer, tokenizerFromJSON } from "../data/mod.ts";
import {
  checkHalfPrecision,
  type Choices,
  choicesOf,
  driverVersion,
  type Gpu,
  type GpuOptions,
  openGpu,
} from "../gpu/mod.ts";
import {
  type AdapterBase,
  type Checkpoint,
  checkpointSteps,
  initialValues,
  latestCheckpoint,
  METRICS_RING,
  type ModelConfig,
  modelFlopsPerToken,
  parameterCount,
  parameters,
  stateTensors,
  TrainableModel,
  trainedParameterCount,
  trainingPlan,
} from "../models/mod.ts";
import { adapterBase, type InitialModel, openInitialModel } from "./initial_model.ts";
import { checkMemory, leastMemory, type TrainingMemory, trainingMemory } from "./memory.ts";
import { flopsPerStep } from "./plan_report.ts";
import { knownPeak } from "./peak.ts";
import type { Recorder } from "./recorder.ts";
import type { RunConfig } from "./run_config.ts";
import { modelOf } from "./settled_model.ts";
import { type StartTuning, tunedGpu } from "./start_tuning.ts";
import { Trainer, type TrainerOptions } from "./trainer.ts";
import { initialState, restoreState, type TrainingState } from "./training_state.ts";

/** What is to be trained. Plain data, to be passed between threads. */
export interface TrainingJob {
  config: RunConfig;
  /** Id of the run that a new one belongs to, such as a trial to its search. */
  parent?: string;
  /** The user's own name for a new run, and labels. */
  name?: string;
  tags?: string[];
  /** Folder of the prepared dataset to train on; prepared from the configuration when left out. */
  dataset?: string;
  /** Folder of the run to go on with; a new run when left out. */
  resume?: string;
  /** Whether the run is given more steps than it had: then it goes on although it had stopped early. */
  extended?: boolean;
  /** What a run chose for its kernels when it began, so that it goes on bit-identically. */
  kernelChoices?: KernelChoices;
  /** Step after which training ends early, saved and `interrupted`; the schedule is that of all steps. @default never */
  pauseAt?: number;
  /** Whether to time the kernels of a step when training is over. */
  profile?: boolean;
  /** Whether kernels may be tuned before it begins; not for who only looks. @default true */
  tune?: boolean;
}

/** The adapter that a run was trained on, how the engine was opened there, and the tile of each of a step's kernels. */
export type KernelChoices =
  & { adapter: string; tiles?: Choices | undefined }
  & Required<
    Pick<GpuOptions, "operands" | "profile">
  >;

/** What is known of a training before it begins. Plain data, to be passed between threads. */
export interface TrainingPreview {
  model: ModelConfig;
  parameters: number;
  /** Those that training changes: all, or the adapters'. */
  trained_parameters: number;
  dataset: { name: string; folder: string; vocab_size: number; train_tokens: number; val_tokens: number };
  kernelChoices: KernelChoices;
  /** What else identifies the adapter and its driver. */
  adapterInfo: { vendor: string; architecture: string; driver: string | null; features: string[] };
  memory: TrainingMemory;
  /** Floating-point operations of an optimizer step. */
  flops_per_step: number;
  /** Those that the model's mathematics asks for, for each token: see `models/flops.ts`. */
  model_flops_per_token: number;
  /** The adapter's peak in 10⁹ operations a second, undefined where it was not measured yet: see `peak.ts`. */
  peak_gflops: number | undefined;
  /** Steps done by the run that goes on, 0 for a new one. */
  step: number;
  /** What the user should know: broken checkpoints, another adapter than the run's. */
  warnings: string[];
}

/** What a trainer needs that only its caller has. */
export type TrainerHooks = Pick<TrainerOptions, "recorder" | "stop" | "onProgress" | "warn">;

/** A training that is ready to begin. */
export class OpenTraining {
  constructor(
    readonly preview: TrainingPreview,
    readonly gpu: Gpu,
    readonly dataset: Dataset,
    private readonly job: TrainingJob,
    private checkpoint: Checkpoint | undefined,
    /** What a new run begins with, if not with weights of chance. */
    private initial: InitialModel | undefined,
    /** Where adapters are trained, the model that they belong to. */
    private readonly base: AdapterBase | undefined,
    private readonly state: TrainingState,
    /** Steps of the run's checkpoints when they were looked at. */
    private readonly checkpointsSeen: number[],
  ) {}

  /**
   * Allocates, loads or makes the weights, compiles, and returns the trainer.
   *
   * @throws UserError when the run's checkpoints are no longer those that were found.
   */
  async start(hooks: TrainerHooks): Promise<Trainer> {
    const { recorder } = hooks;
    const { gpu, dataset, job: { config }, checkpoint } = this;
    const { step, model_flops_per_token, peak_gflops } = this.preview;
    try {
      if (checkpoint !== undefined) await this.#checkUnchanged(recorder);
      return new Trainer({
        ...hooks,
        gpu,
        config,
        dataset,
        model: await this.#makeModel(),
        base: this.base,
        step,
        state: this.state,
        pauseAt: this.job.pauseAt,
        work: { flops_per_token: model_flops_per_token, peak_gflops },
        resumed: checkpoint !== undefined,
      });
    } catch (error) {
      recorder.finish("failed", { error: error instanceof Error ? error.message : String(error) });
      throw error;
    } finally {
      this.#closeFiles();
    }
  }

  /** Allocates, loads or makes the weights and compiles, for who trains without a trainer and a run. */
  async startAlone(): Promise<
    { model: TrainableModel; base: AdapterBase | undefined; state: TrainingState }
  > {
    try {
      return { model: await this.#makeModel(), base: this.base, state: this.state };
    } finally {
      this.#closeFiles();
    }
  }

  /** The model on the device, with the checkpoint's weights or those that it begins with; tensor by tensor, to spare memory. */
  async #makeModel(): Promise<TrainableModel> {
    const { gpu, preview, job: { config: { training } }, checkpoint, initial } = this;
    const model = new TrainableModel(gpu, preview.model, training);
    await model.warmUp();
    for (const parameter of parameters(preview.model)) {
      const { name, frozen } = parameter;
      if (checkpoint === undefined) {
        const isNew = initial === undefined || (preview.model.lora !== undefined && !frozen);
        const values = isNew
          ? initialValues(parameter, preview.model, training.seed)
          : initial!.model.weight(name);
        model.store.write(name, values);
        continue;
      }
      model.store.write(name, checkpoint.weight(name));
    }
    if (this.state.loss_scale !== undefined) model.setLossScale(this.state.loss_scale);
    if (checkpoint !== undefined) {
      for (const tensor of stateTensors(preview.model, training.optimizer)) {
        model.store.write(tensor.parameter, checkpoint.optimizerState(tensor), tensor.plane);
      }
    }
    model.store.syncMirrors();
    gpu.check();
    return model;
  }

  /** Another process may have trained the run until the moment that this one took it over. */
  async #checkUnchanged(recorder: Recorder): Promise<void> {
    const now = await checkpointSteps(recorder.dir);
    if (now.join() === this.checkpointsSeen.join()) return;
    throw new UserError("another process has just trained this run", {
      file: displayPath(recorder.dir),
      hint: "start again to go on from its newest checkpoint",
    });
  }

  /** Frees the device and all that is on it. */
  close(): void {
    this.#closeFiles();
    this.gpu.close();
  }

  #closeFiles(): void {
    this.checkpoint?.close();
    this.initial?.model.close();
    this.checkpoint = this.initial = undefined;
  }
}

/**
 * Opens all that a training needs and checks that it can begin. Allocates nothing on the device.
 *
 * @param dataset what to train on; prepared from the configuration when left out
 * @param tuning has a new run take the tiles that were tuned for its kernels, and tune them for a moment where it is long; the
 *   defaults when left out
 * @throws UserError for everything that is wrong with data, checkpoint, adapter or memory
 */
export async function openTraining(
  job: TrainingJob,
  dataset?: Dataset,
  tuning?: StartTuning,
): Promise<OpenTraining> {
  const { training, data } = job.config;
  if (training.accumulate_grad_batches >= METRICS_RING) {
    throw new UserError(`training.accumulate_grad_batches must be less than ${METRICS_RING}`, {
      hint: "raise training.batch_size instead",
    });
  }
  if (training.lora !== undefined && training.init_from === undefined) {
    throw new UserError("training.lora needs a model whose weights stand still", {
      hint: "give --init-from <folder of a model or run>, or leave training.lora out to train all weights",
    });
  }
  const found = await findCheckpoint(job.resume);
  const { checkpoint, seen } = found;
  let initial: InitialModel | undefined;
  let gpu: Gpu | undefined;
  try {
    const { init_from } = training;
    if (init_from !== undefined && checkpoint === undefined) initial = await openInitialModel(init_from);
    const tokenizer = init_from === undefined || checkpoint === undefined
      ? initial?.tokenizer
      : tokenizerFromJSON(checkpoint.tokenizer, displayPath(checkpoint.path));
    dataset ??= job.dataset === undefined
      ? await prepare(data, {}, tokenizer === undefined ? {} : { tokenizer })
      : await openDataset(job.dataset, data);
    checkTokenizer(dataset, tokenizer, init_from);
    dataset.checkContext(training.max_seq_length);
    const model = modelOf(job.config, dataset.tokenizer.vocab_size);
    const base = training.lora === undefined || initial === undefined
      ? checkpoint?.base
      : await adapterBase(initial);
    const state = checkpoint === undefined
      ? initialState(dataset)
      : stateOf(checkpoint, { model, dataset, job });
    const opened = await openPinned(job.kernelChoices);
    gpu = opened.gpu;
    checkMemory({ total: leastMemory(model, training) }, gpu); // planning something absurd would itself take for ever
    if (
      tuning !== undefined && training.tune && checkpoint === undefined && job.kernelChoices === undefined
    ) {
      gpu = await tunedGpu(gpu, model, job.config, { ...tuning, isFinding: job.tune !== false });
    }
    if (training.mixed_precision === "f16") await checkHalfPrecision(gpu);
    const step = trainingPlan(model, training, gpu);
    const memory = trainingMemory(model, training, gpu, step);
    checkMemory(memory, gpu);
    const { name: adapter, vendor, architecture, features } = gpu.adapter;
    const preview: TrainingPreview = {
      model,
      parameters: parameterCount(model),
      trained_parameters: trainedParameterCount(model),
      dataset: {
        name: dataset.header.name,
        folder: displayPath(dataset.folder),
        vocab_size: dataset.tokenizer.vocab_size,
        train_tokens: dataset.train.length,
        val_tokens: dataset.val.length,
      },
      kernelChoices: {
        adapter,
        operands: gpu.operands,
        profile: gpu.profile,
        tiles: choicesOf(step.dispatches),
      },
      adapterInfo: { vendor, architecture, driver: driverVersion(adapter), features },
      memory,
      flops_per_step: flopsPerStep(model, training, step, gpu),
      model_flops_per_token: modelFlopsPerToken(model, step, training.batch_size * training.max_seq_length),
      peak_gflops: await knownPeak(gpu, job.config.tracking.runs_dir),
      step: checkpoint?.step ?? 0,
      warnings: [...found.warnings, ...initial?.warnings ?? [], ...opened.warnings],
    };
    return new OpenTraining(preview, gpu, dataset, job, checkpoint, initial, base, state, seen);
  } catch (error) {
    checkpoint?.close();
    initial?.model.close();
    gpu?.close();
    throw error;
  }
}

/** A dataset that a script brings must be cut with the tokenizer of the model that training begins with. */
function checkTokenizer(
  dataset: Dataset,
  tokenizer: Tokenizer | undefined,
  init_from: string | undefined,
): void {
  if (tokenizer === undefined) return;
  if (JSON.stringify(dataset.tokenizer.toJSON()) === JSON.stringify(tokenizer.toJSON())) return;
  throw new UserError(
    `the dataset ${dataset.header.name} is cut into tokens by another tokenizer (${dataset.tokenizer.kind}) than the ` +
      `model in ${displayPath(init_from!)} (${tokenizer.kind})`,
    { hint: "leave the dataset to training, or prepare it with that tokenizer" },
  );
}

/**
 * The newest whole checkpoint of a run. A run that has none because it was killed before its first begins anew; one
 * whose checkpoints are all broken does not, for they may be worth something yet.
 */
async function findCheckpoint(
  dir: string | undefined,
): Promise<{ checkpoint: Checkpoint | undefined; seen: number[]; warnings: string[] }> {
  if (dir === undefined) return { checkpoint: undefined, seen: [], warnings: [] };
  const seen = await checkpointSteps(dir);
  const { checkpoint, warnings } = await latestCheckpoint(dir);
  if (checkpoint === undefined && seen.length > 0) {
    throw new UserError(["has no whole checkpoint to go on from", ...warnings].join("; "), {
      file: displayPath(dir),
      hint: "move its folder `checkpoints` away to begin the run anew",
    });
  }
  return { checkpoint, seen, warnings };
}

/** The checkpoint's state, if it fits what is to be trained. */
function stateOf(
  checkpoint: Checkpoint,
  { model, dataset, job: { config: { training }, extended } }: {
    model: ModelConfig;
    dataset: Dataset;
    job: TrainingJob;
  },
): TrainingState {
  const file = displayPath(checkpoint.path);
  const state = restoreState(checkpoint.state, dataset, file);
  for (const [key, value] of Object.entries(model)) {
    const found = checkpoint.config[key as keyof ModelConfig];
    if (JSON.stringify(found) === JSON.stringify(value)) continue;
    throw new UserError(`the checkpoint's ${key} is ${found}, the run's configuration says ${value}`, {
      file,
      hint: "restore the run's config.yaml",
    });
  }
  if (checkpoint.optimizer !== training.optimizer) {
    throw new UserError(
      `the checkpoint holds the state of ${checkpoint.optimizer}, the run's configuration says ` +
        `training.optimizer: ${training.optimizer}`,
      { file, hint: "restore the run's config.yaml, or begin a new run from its weights with --init-from" },
    );
  }
  if (training.max_steps < checkpoint.step) {
    throw new UserError(
      `the run has done ${checkpoint.step} steps already, max_steps is ${training.max_steps}`,
      { file, hint: "give --max-steps a larger number" },
    );
  }
  return extended ? { ...state, early_stopped: false, worse: 0 } : state;
}

/** Opens the device as the run did before, if it is the same adapter. */
async function openPinned(
  choices: KernelChoices | undefined,
): Promise<{ gpu: Gpu; warnings: string[] }> {
  const gpu = await openGpu(choices ?? {});
  if (choices === undefined) return { gpu, warnings: [] };
  if (gpu.adapter.name === choices.adapter) return { gpu: { ...gpu, choices: choices.tiles }, warnings: [] };
  gpu.close();
  const warning =
    `the run was begun on ${choices.adapter}: on ${gpu.adapter.name} its losses differ in the last digits`;
  return { gpu: await openGpu(), warnings: [warning] };
}
