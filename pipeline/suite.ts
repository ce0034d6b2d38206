/**
 * The benchmark suite: how fast this machine trains and generates, how low a short training gets, and how far the engine is
 * from float64. Each measurement is one flat line with all that it depends on, to be kept and compared (`suite_compare.ts`).
 */

import { gitCommit, gitIsDirty, sha256, UserError, VERSION } from "../common/mod.ts";
import { type Dataset, prepare } from "../data/mod.ts";
import type { Gpu } from "../gpu/mod.ts";
import { type ModelConfig, parameterCount, TrainableModel, writeInitialWeights } from "../models/mod.ts";
import { benchmarkGeneration, benchmarkTraining, type Speed } from "./benchmark.ts";
import type { TrainingConfig } from "./config.ts";
import { evaluationBatches } from "./evaluation.ts";
import { findPeak, utilization } from "./peak.ts";
import { checkReference } from "./reference_check.ts";
import { embeddedReference } from "./reference_files.ts";
import type { RunConfig } from "./run_config.ts";
import { modelOf } from "./settled_model.ts";
import { StepRunner } from "./step_runner.ts";
import { type Kind, type Measurement, quartiles } from "./suite_compare.ts";

/** Seeds of the short trainings: their losses' spread is that of chance. */
const SEEDS = [1, 2, 3];

/** Steps of a short training, and batches that its loss is measured on. */
const LOSS_STEPS = 100;
const LOSS_BATCHES = 20;

/** What is measured. */
export interface SuiteOptions {
  gpu: Gpu;
  configs: RunConfig[];
  kinds: readonly Kind[];
  /** Steps of the timed training, tokens of the timed generation and steps of a short training. @default what fits each */
  max_steps?: number | undefined;
  /** Told before each measurement what it is. */
  onBegin?: (kind: Kind, config: string) => void;
}

/**
 * Measures everything, one after the other.
 *
 * @throws UserError when data or adapter will not do, or a loss or deviation is not a number
 */
export async function* measureSuite(options: SuiteOptions): AsyncGenerator<Measurement> {
  const { gpu, configs, kinds, max_steps, onBegin = () => {} } = options;
  for (const config of configs) {
    const dataset = await prepare(config.data);
    const model = modelOf(config, dataset.tokenizer.vocab_size);
    for (const kind of kinds) {
      if (kind === "deviation") continue;
      onBegin(kind, config.tracking.name);
      const measured = await MEASURES[kind]({ gpu, config, dataset, model, max_steps });
      yield { kind, config: config.tracking.name, ...measured, ...await circumstances(gpu) };
    }
  }
  if (!kinds.includes("deviation")) return;
  onBegin("deviation", REFERENCE);
  yield { kind: "deviation", config: REFERENCE, ...await deviation(gpu), ...await circumstances(gpu) };
}

interface Subject {
  gpu: Gpu;
  config: RunConfig;
  dataset: Dataset;
  model: ModelConfig;
  max_steps: number | undefined;
}

/** A measurement but for what is common to all. */
type Measured = Pick<Measurement, "digest" | "repeats"> & Record<string, unknown>;

const MEASURES: Record<Exclude<Kind, "deviation">, (subject: Subject) => Promise<Measured>> = {
  async train({ gpu, config, dataset, model, max_steps }) {
    const { training, tracking } = config;
    const speed = await benchmarkTraining(gpu, model, training, dataset, max_steps);
    const peak_gflops = await findPeak(gpu, tracking.runs_dir);
    return {
      digest: digestOf(model, sizes(training)),
      ...rates(speed),
      gflops: speed.gflops,
      mfu: utilization(speed.model_flops_per_token, speed.tokens_per_second_median, peak_gflops),
      peak_gflops,
      parameters: parameterCount(model),
      ...sizes(training),
    };
  },

  async generate({ gpu, config, model, max_steps }) {
    const speed = await benchmarkGeneration(gpu, model, config.training.seed, max_steps);
    return { digest: digestOf(model, {}), ...rates(speed), parameters: parameterCount(model) };
  },

  async loss({ gpu, config, dataset, model, max_steps = LOSS_STEPS }) {
    const training: TrainingConfig = {
      ...config.training,
      max_steps,
      warmup_steps: Math.min(config.training.warmup_steps, Math.ceil(max_steps / 10)),
      decay_steps: Math.ceil(max_steps / 5),
    };
    const repeats = [];
    for (const seed of SEEDS) {
      repeats.push(await finalLoss(gpu, model, { ...training, seed }, dataset));
    }
    const { learning_rate, optimizer, warmup_steps } = training;
    const settings = { max_steps, warmup_steps, learning_rate, optimizer, ...sizes(training) };
    return {
      digest: digestOf(model, { ...settings, tokens: dataset.header.tokens_digest }),
      val_loss_best: Math.min(...repeats),
      val_loss_median: quartiles(repeats)[1],
      repeats,
      ...settings,
    };
  },
};

/** Validation loss in nats per token after a short training from initial weights. */
async function finalLoss(
  gpu: Gpu,
  config: ModelConfig,
  training: TrainingConfig,
  dataset: Dataset,
): Promise<number> {
  const { batch_size, max_seq_length, max_steps, seed } = training;
  const model = new TrainableModel(gpu, config, training);
  try {
    writeInitialWeights(model.store, config, seed);
    await new StepRunner({ model, dataset, training, onResults: () => {} })
      .advance(0, max_steps, () => false);
    const windows = { split: "val" as const, batch_size, max_seq_length, batches: LOSS_BATCHES };
    const { loss } = await model.evaluate(evaluationBatches(dataset, windows));
    if (Number.isFinite(loss)) return loss;
  } finally {
    model.destroy();
  }
  throw new UserError(`after ${max_steps} steps with seed ${seed} the loss is not a number`, {
    hint: "lower training.learning_rate in the config",
  });
}

/** Name of the vectors that deviations are measured against. */
const REFERENCE = "reference";

/** The doctor's largest deviation, as a part of its tolerance: more than 1 is a failed check. */
async function deviation(gpu: Gpu): Promise<Measured> {
  const checks = await checkReference(gpu, embeddedReference());
  const parts = checks.map((check) => ({ ...check, part: check.max_abs_deviation / check.tolerance }));
  const worst = parts.reduce((a, b) => b.part > a.part || Number.isNaN(b.part) ? b : a);
  if (Number.isNaN(worst.part)) {
    throw new UserError(`${worst.name} is not a number on this adapter`, { hint: "see `chatgot doctor`" });
  }
  return {
    digest: sha256(JSON.stringify(checks.map(({ name, tolerance }) => [name, tolerance]))),
    worst_check: worst.name,
    max_abs_deviation: worst.max_abs_deviation,
    tolerance: worst.tolerance,
    repeats: [worst.part],
  };
}

function rates({ tokens_per_second_best, tokens_per_second_median, repeats }: Speed) {
  return { tokens_per_second_best, tokens_per_second_median, repeats };
}

function sizes({ batch_size, max_seq_length, accumulate_grad_batches }: TrainingConfig) {
  return { batch_size, max_seq_length, accumulate_grad_batches };
}

/** What makes two measurements the same: the model, and the settings that matter. */
function digestOf(model: ModelConfig, settings: Record<string, unknown>): string {
  return sha256(JSON.stringify([Object.entries(model).toSorted(), Object.entries(settings).toSorted()]));
}

/** All that a measurement may depend on beside what is measured. */
async function circumstances(gpu: Gpu) {
  const folder = import.meta.dirname ?? ".";
  return {
    adapter: gpu.adapter.name,
    kernels: `${gpu.profile}, operands in ${gpu.operands}s`,
    chatgot: VERSION,
    deno: Deno.version.deno,
    os: `${Deno.build.os} ${Deno.build.arch}`,
    git_commit: gitCommit(folder),
    git_dirty: await gitIsDirty(folder),
    time: new Date().toISOString(),
  };
}
