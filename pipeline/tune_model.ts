/**
 * Tuning the kernels of a config's training step, and what it gives: the sum over the kernels, and where there is time for it whole
 * steps with the default tiles and with the winners. Left out: the kernels of generation, and the optimizer's, which have no tiles.
 */

import { randomInt } from "../common/mod.ts";
import { type Choices, type Gpu, tune, type TunedKernel, tuningSites, winners } from "../gpu/mod.ts";
import {
  type MicroBatch,
  type ModelConfig,
  TrainableModel,
  trainingPlan,
  writeInitialWeights,
} from "../models/mod.ts";
import type { TrainingConfig } from "./config.ts";

/** What tuning found for a model. */
export interface TuningReport {
  kernels: TunedKernel[];
  /** Kernels whose tiles can be chosen, those that the time did not suffice for included. */
  kernels_total: number;
  /** Seconds of all these kernels in a micro-batch, with default tiles and with the winners. */
  default_seconds: number;
  seconds: number;
  /** Seconds of a measured micro-batch with the optimizer's step; null where there was no time for it. */
  step: { default_seconds: number; seconds: number } | null;
}

/** How to tune. */
export interface TuneModelOptions {
  /** Time for all of it, but for what it begins with the last second. */
  seconds: number;
  /** What was found before. */
  known: Choices;
  isStopped: () => boolean;
  /** Told how many kernels are done, of how many, and what is done now. */
  onProgress: (done: number, total: number, doing: string) => void;
  onFound: (found: TunedKernel) => Promise<void>;
}

/** Part of the time that is for whole steps. */
const STEP_SHARE = 0.2;

/** Steps of one measurement, beside two that warm up. */
const STEPS = 5;

/** Tunes the kernels of a training step. */
export async function tuneModel(
  gpu: Gpu,
  model: ModelConfig,
  training: TrainingConfig,
  { seconds, known, isStopped, onProgress, onFound }: TuneModelOptions,
): Promise<TuningReport> {
  const begin = performance.now();
  const sites = tuningSites(trainingPlan(model, training, gpu).dispatches);
  let done = 0;
  const kernels = await tune(gpu, sites, {
    seconds: seconds * (1 - STEP_SHARE),
    known,
    isStopped,
    onProgress: (_spent, kernel) => onProgress(done, sites.length, kernel),
    onFound: async (found) => {
      done++;
      await onFound(found);
    },
  });
  const default_seconds = kernels.reduce((sum, k) => sum + k.calls * k.default_seconds, 0);
  const left = seconds - (performance.now() - begin) / 1000;
  const choices = winners(kernels);
  const isWorthIt = Object.keys(choices).length > 0 && 4 * (STEPS + 2) * default_seconds < left;
  let step: TuningReport["step"] = null;
  if (isWorthIt && !isStopped()) {
    onProgress(done, sites.length, "whole steps");
    step = { default_seconds: Infinity, seconds: Infinity };
    for (let round = 0; round < 2; round++) { // in turn, since machines are not the same speed from moment to moment
      const [before, after] = [gpu, { ...gpu, choices }];
      step.default_seconds = Math.min(step.default_seconds, await stepSeconds(before, model, training));
      step.seconds = Math.min(step.seconds, await stepSeconds(after, model, training));
    }
  }
  return {
    kernels,
    kernels_total: sites.length,
    default_seconds,
    seconds: kernels.reduce((sum, k) => sum + k.calls * k.seconds, 0),
    step,
  };
}

/** Seconds of the fastest of some steps of one micro-batch, on made-up tokens and from initial weights. */
async function stepSeconds(gpu: Gpu, config: ModelConfig, training: TrainingConfig): Promise<number> {
  const model = new TrainableModel(gpu, config, { ...training, accumulate_grad_batches: 1 });
  try {
    await model.warmUp();
    writeInitialWeights(model.store, config, training.seed);
    const length = training.batch_size * training.max_seq_length;
    const ids = (stream: number) =>
      new Uint32Array(length).map((_, i) => randomInt(1, stream, i, config.vocab_size));
    const batch: MicroBatch = { input_ids: ids(1), targets: ids(2) };
    let fastest = Infinity;
    for (let step = 1; step <= STEPS + 2; step++) {
      const begin = performance.now();
      model.step(step, 0, [batch]);
      await model.readMetrics();
      if (step > 2) fastest = Math.min(fastest, (performance.now() - begin) / 1000);
    }
    return fastest;
  } finally {
    model.destroy();
  }
}
