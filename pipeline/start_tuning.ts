/**
 * What the tuner does for a run that begins: it gets the tiles that were found for its kernels before, and where its training is so
 * long that it pays, kernels that nothing is known of are tuned first. Short trainings and tests never wait for it.
 */

import { humanDuration } from "../common/mod.ts";
import {
  candidateTarget,
  type Choices,
  type Gpu,
  isValid,
  siteKey,
  tune,
  type TuningSite,
  tuningSites,
} from "../gpu/mod.ts";
import { type ModelConfig, trainingPlan } from "../models/mod.ts";
import { knownPeak } from "./peak.ts";
import { flopsPerStep } from "./plan_report.ts";
import type { RunConfig } from "./run_config.ts";
import { keepTuned, knownChoices, unknownSites } from "./tuning_cache.ts";

/** Whom the tuner tells. */
export interface StartTuning {
  /** What it does, one line each. */
  note: (line: string) => void;
  /** What is wrong with the file of tiles. */
  warn: (line: string) => void;
}

/** Part of a training's time that tuning may take, and the seconds that it takes at most and at least. */
const SHARE = 0.01;
const MOST_SECONDS = 30;
const LEAST_SECONDS = 2;

/** Operations a second that no adapter of the kind is expected to exceed, where none were measured: times are then underestimated. */
const CAUTIOUS_RATE = { llvmpipe512: 2e11, llvmpipe256: 2e11, gpu: 2e13 };

/**
 * Seconds that tuning may take before a training: a hundredth of its time as far as that can be told, and half a minute at most.
 *
 * @param flops of the whole training
 * @param rate operations a second that the adapter does at best
 * @returns 0 where it is too little for the tuner to find anything
 *
 * @example
 * ```ts
 * import { startSeconds } from "./start_tuning.ts";
 * startSeconds(1e14, 1e11); // 10: a hundredth of a thousand seconds
 * ```
 */
export function startSeconds(flops: number, rate: number): number {
  const seconds = Math.min(MOST_SECONDS, SHARE * flops / rate);
  return seconds < LEAST_SECONDS ? 0 : seconds;
}

/** The tiles among some that are known for a plan's kernels and that the adapter can have. */
export function tilesFor(gpu: Gpu, sites: TuningSite[], known: Choices): Choices {
  const target = candidateTarget(gpu);
  return Object.fromEntries(
    sites.flatMap(({ site }) => {
      const choice = known[siteKey(site)];
      return choice === undefined || !isValid(site, choice, target) ? [] : [[siteKey(site), choice]];
    }),
  );
}

/**
 * The device with the tiles of a training's kernels.
 *
 * @param options isFinding: whether to tune what is not known
 */
export async function tunedGpu(
  gpu: Gpu,
  model: ModelConfig,
  { training, tracking: { runs_dir } }: RunConfig,
  { note, warn, isFinding }: StartTuning & { isFinding: boolean },
): Promise<Gpu> {
  const plan = trainingPlan(model, training, gpu);
  const sites = tuningSites(plan.dispatches);
  let known = await knownChoices(gpu, runs_dir, warn);
  const unknown = unknownSites(sites, known);
  const peak = await knownPeak(gpu, runs_dir);
  const rate = peak === undefined ? CAUTIOUS_RATE[gpu.profile] : peak * 1e9;
  const seconds = startSeconds(flopsPerStep(model, training, plan, gpu) * training.max_steps, rate);
  if (isFinding && unknown.length > 0 && seconds > 0) {
    note(`tuning kernels for this machine, ${humanDuration(seconds)} at most (--no-tune leaves it out)`);
    const found = await tune(gpu, unknown, {
      seconds,
      onFound: (kernel) => keepTuned(gpu, runs_dir, [kernel]), // what is found before a Ctrl-C is kept
    });
    known = { ...known, ...Object.fromEntries(found.map(({ kernel, choice }) => [kernel, choice])) };
  }
  return { ...gpu, choices: tilesFor(gpu, sites, known) };
}
