/**
 * Learning-rate schedules: pure functions of the step, so that a resumed run needs nothing but its step.
 *
 * Each begins with a linear warmup from learning_rate / warmup_steps; then
 *
 * - `constant` stays,
 * - `linear` and `cosine` fall to min_learning_rate at max_steps (cosine: Loshchilov & Hutter, arXiv:1608.03983, without
 *   restarts),
 * - `wsd` (warmup-stable-decay, Hu et al., arXiv:2404.06395) stays and falls linearly over the last decay_steps.
 */

/** The schedules by name. */
export const SCHEDULES = ["cosine", "linear", "constant", "wsd"] as const;

/** The keys of the section `training` that set the learning rate. */
export interface Schedule {
  lr_schedule: typeof SCHEDULES[number];
  /** Highest learning rate, reached after the warmup. */
  learning_rate: number;
  /** Lowest learning rate, reached at max_steps. */
  min_learning_rate: number;
  warmup_steps: number;
  /** Length of the fall at the end; `wsd` alone. */
  decay_steps: number;
  max_steps: number;
}

/**
 * The learning rate of a step.
 *
 * @param step steps done before this one: 0 for the first, max_steps - 1 for the last. Beyond the end, the rate stays at
 *   what max_steps gives.
 *
 * @example
 * ```ts
 * import { learningRate } from "./schedule.ts";
 * const schedule = {
 *   lr_schedule: "cosine" as const,
 *   learning_rate: 1e-3,
 *   min_learning_rate: 1e-4,
 *   warmup_steps: 100,
 *   decay_steps: 0,
 *   max_steps: 2000,
 * };
 * console.log(learningRate(0, schedule), learningRate(99, schedule)); // 0.00001 0.001
 * ```
 */
export function learningRate(step: number, schedule: Schedule): number {
  const { learning_rate: high, min_learning_rate: low, warmup_steps, max_steps } = schedule;
  if (step < warmup_steps) return high * (step + 1) / warmup_steps;
  switch (schedule.lr_schedule) {
    case "constant":
      return high;
    case "linear":
      return high + (low - high) * progress(step, warmup_steps, max_steps);
    case "cosine":
      return low + (high - low) * (1 + Math.cos(Math.PI * progress(step, warmup_steps, max_steps))) / 2;
    case "wsd": {
      const begin = Math.max(warmup_steps, max_steps - schedule.decay_steps);
      return high + (low - high) * progress(step, begin, max_steps);
    }
  }
}

/** How far `step` is from `begin` to `end`, 0 to 1. */
function progress(step: number, begin: number, end: number): number {
  if (step <= begin) return 0;
  return step >= end ? 1 : (step - begin) / (end - begin);
}
