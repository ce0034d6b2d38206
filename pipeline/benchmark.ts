/**
 * Measuring how fast the engine trains and generates. Times are wall time of whole steps as a training makes them:
 * batches, submits and the reading of losses included. A first step (with compilation) and a few more to warm up are not
 * counted in the rates.
 */

import process from "process";
import type { Dataset } from "../data/mod.ts";
import { type Gpu, type KernelTime, ParameterStore } from "../gpu/mod.ts";
import {
  Generator,
  type GeneratorOptions,
  type ModelConfig,
  modelFlopsPerToken,
  parameterSpecs,
  TrainableModel,
  writeInitialWeights,
} from "../models/mod.ts";
import type { TrainingConfig } from "./config.ts";
import { learningRate } from "./schedule.ts";

/** How fast something was. */
export interface Speed {
  /** The fastest group of steps, and the median of all groups. */
  tokens_per_second_best: number;
  tokens_per_second_median: number;
  /** 10⁹ floating-point operations a second in the fastest group. */
  gflops: number;
  /** Tokens a second of every group, in their order. */
  repeats: number[];
  /** From the program's start to the end of the first step: opening, compiling, and the step itself. */
  first_step_seconds: number;
  /** Steps (or generated tokens) that were timed. */
  steps: number;
}

/** Steps before the clock starts, the first included. */
const WARM_UP = 3;

/** Seconds of one group of steps, which is timed as one since every read-back costs some 10 ms. */
const GROUP_SECONDS = 0.5;

/** How fast a training was. */
export interface TrainingSpeed extends Speed {
  /** Operations that the model's mathematics asks for, for each token. */
  model_flops_per_token: number;
}

/** Seconds that a measurement takes when no number of steps is given. */
const DEFAULT_SECONDS = 20;

/** Tokens that a generation is measured by when no number is given. */
const DEFAULT_TOKENS = 512;

/** Tokens of one group of a generation. */
const TOKENS_PER_GROUP = 32;

/**
 * Trains from initial weights on real batches and measures.
 *
 * @param max_steps optimizer steps to time; about 20 seconds' worth when left out
 * @param onProfile gets the times of a step's kernels, which are measured only then
 */
export async function benchmarkTraining(
  gpu: Gpu,
  config: ModelConfig,
  training: TrainingConfig,
  dataset: Dataset,
  max_steps?: number,
  onProfile?: (times: KernelTime[]) => void,
): Promise<TrainingSpeed> {
  const { batch_size, max_seq_length, accumulate_grad_batches: count, seed } = training;
  dataset.checkContext(max_seq_length);
  const model = new TrainableModel(gpu, config, training);
  try {
    await model.warmUp();
    writeInitialWeights(model.store, config, seed);
    let step = 0;
    const run = async (steps: number): Promise<number> => {
      const begin = performance.now();
      for (let i = 0; i < steps; i++) {
        const micro = Array.from(
          { length: count },
          (_, m) => dataset.batch("train", { seed, step: step * count + m, batch_size, max_seq_length }),
        );
        model.step(step + 1, learningRate(step, training), micro);
        step++;
      }
      await model.readMetrics();
      return (performance.now() - begin) / 1000 / steps;
    };
    await run(1);
    const first_step_seconds = performance.now() / 1000;
    let seconds = Infinity; // of a step
    while (step < WARM_UP) seconds = Math.min(seconds, await run(1));
    const steps = max_steps ?? Math.min(1000, Math.max(10, Math.round(DEFAULT_SECONDS / seconds)));
    const group = Math.min(steps, Math.floor(256 / count), Math.max(1, Math.round(GROUP_SECONDS / seconds)));
    const times: number[] = [];
    for (let done = 0; done < steps; done += group) times.push(await run(Math.min(group, steps - done)));
    const tokens = batch_size * max_seq_length * count;
    if (onProfile !== undefined) {
      const batch = dataset.batch("train", { seed, step: 0, batch_size, max_seq_length });
      onProfile(await model.profile(step + 1, Array.from({ length: count }, () => batch)));
    }
    const model_flops_per_token = modelFlopsPerToken(config, model.plan, batch_size * max_seq_length);
    return {
      ...rates(times, tokens, model.plan.flops * count),
      first_step_seconds,
      steps,
      model_flops_per_token,
    };
  } finally {
    model.destroy();
  }
}

/**
 * Generates greedily from initial weights and measures. Starts again whenever the context is full.
 *
 * @param max_steps tokens of each sequence to time
 * @param options sequences: how many side by side; precision: how weights are held
 */
export async function benchmarkGeneration(
  gpu: Gpu,
  config: ModelConfig,
  seed: number,
  max_steps = DEFAULT_TOKENS,
  { sequences = 1, precision = "f32" }: Pick<GeneratorOptions, "precision"> & { sequences?: number } = {},
): Promise<Speed> {
  const store = new ParameterStore(gpu, parameterSpecs(config), { training: false });
  writeInitialWeights(store, config, seed);
  const generator = new Generator(gpu, config, store, { packed: true, precision });
  const texts = Array.from({ length: sequences }, (_, sample) => ({ prompt: [0], sample }));
  try {
    const greedy = { temperature: 0, top_k: 0, top_p: 1, seed };
    let first_step_seconds = NaN;
    const times: number[] = [];
    let [done, warm, inGroup, begin] = [0, 0, 0, 0];
    while (done < max_steps) {
      const choice = { ...greedy, max_new_tokens: config.n_positions };
      for await (const _tokens of generator.generateBatch(texts, choice)) {
        if (warm < WARM_UP) {
          if (warm++ === 0) first_step_seconds = performance.now() / 1000;
          begin = performance.now();
          continue;
        }
        done++;
        inGroup++;
        if (inGroup < TOKENS_PER_GROUP && done < max_steps) continue;
        times.push((performance.now() - begin) / 1000 / inGroup);
        [inGroup, begin] = [0, performance.now()];
        if (done === max_steps) break;
      }
    }
    return { ...rates(times, sequences, generator.flops * sequences), first_step_seconds, steps: done };
  } finally {
    generator.destroy();
    store.destroy();
  }
}

/** The most memory that the process has held so far, in bytes; on a software adapter the device's is in it. */
export function peakMemoryBytes(): number {
  return process.resourceUsage().maxRSS * 1024; // Node gives KiB
}

function rates(times: number[], tokens: number, flops: number) {
  const sorted = times.toSorted((a, b) => a - b);
  const best = sorted[0]!;
  return {
    tokens_per_second_best: tokens / best,
    tokens_per_second_median: tokens / sorted[sorted.length >> 1]!,
    gflops: flops / best / 1e9,
    repeats: times.map((seconds) => tokens / seconds),
  };
}
