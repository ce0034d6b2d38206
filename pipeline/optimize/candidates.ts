/** What the search tries: other micro-batches for the same tokens a step, and settings around those of the configuration. */

import { METRICS_RING } from "../../models/mod.ts";
import type { TrainingConfig } from "../config.ts";

/** How a step's sequences are cut into micro-batches. The product is the same for all that are tried. */
export type Batch = Pick<TrainingConfig, "batch_size" | "accumulate_grad_batches">;

/** Settings of one candidate, in terms of the whole training. */
export type Settings = Pick<
  TrainingConfig,
  "learning_rate" | "min_learning_rate" | "weight_decay" | "warmup_steps"
>;

/** The most candidates of a search over settings. */
export const MOST_CANDIDATES = 8;

/**
 * All ways to cut a step into micro-batches of the same size, the configuration's own among them; the smallest batch first.
 *
 * @example
 * ```ts
 * import { batches } from "./candidates.ts";
 * batches({ batch_size: 2, accumulate_grad_batches: 2 }); // 1 × 4, 2 × 2, 4 × 1
 * ```
 */
export function batches({ batch_size, accumulate_grad_batches }: Batch): Batch[] {
  const sequences = batch_size * accumulate_grad_batches;
  const all: Batch[] = [];
  for (let size = 1; size <= sequences; size++) {
    const count = sequences / size;
    if (Number.isInteger(count) && count < METRICS_RING) {
      all.push({ batch_size: size, accumulate_grad_batches: count });
    }
  }
  return all;
}

/**
 * Candidates in the order in which a short search takes the first of them: the configuration's own, then others by what most
 * often pays (a larger or smaller learning rate, then warmup and weight decay). The lowest learning rate keeps its ratio to
 * the highest.
 */
export function candidates(own: TrainingConfig): Settings[] {
  const { learning_rate, min_learning_rate, weight_decay, warmup_steps, max_steps } = own;
  const settings = (rate: number, change: Partial<Settings> = {}): Settings => ({
    learning_rate: round(learning_rate * rate),
    min_learning_rate: round(min_learning_rate * rate),
    weight_decay,
    warmup_steps,
    ...change,
  });
  const warmup = warmup_steps === 0 ? Math.ceil(max_steps / 20) : Math.ceil(warmup_steps / 2);
  const decay = weight_decay === 0 ? 0.1 : round(weight_decay / 10);
  const all = [
    { learning_rate, min_learning_rate, weight_decay, warmup_steps },
    settings(2),
    settings(1 / 2),
    settings(4),
    settings(1, { weight_decay: decay }),
    settings(1, { warmup_steps: warmup }),
    settings(2, { weight_decay: decay, warmup_steps: warmup }),
    settings(1 / 4),
  ];
  const seen = new Set<string>();
  return all.filter((each) => {
    const key = JSON.stringify(each);
    return !seen.has(key) && seen.add(key);
  });
}

/** Without the dust of binary fractions: 0.002, not 0.0020000000000000005. */
function round(value: number): number {
  return Number(value.toPrecision(12));
}

/**
 * The training of a trial: the whole training made shorter, with warmup and fall in proportion, and nothing written on the
 * way but what is measured. It ends one step before its last, where a training would read all of the validation text.
 *
 * @param steps steps that the trial can take
 * @param interval steps from one evaluation to the next
 */
export function shortTraining(
  whole: TrainingConfig,
  { steps, interval }: { steps: number; interval: number },
): TrainingConfig {
  const part = Math.min(1, steps / whole.max_steps);
  const { early_stopping_patience: _never, ...training } = whole;
  return {
    ...training,
    max_steps: steps + 1,
    warmup_steps: whole.warmup_steps === 0 ? 0 : Math.max(1, Math.round(whole.warmup_steps * part)),
    decay_steps: Math.round(whole.decay_steps * part),
    log_interval: Math.max(1, Math.min(whole.log_interval, Math.ceil(interval / 4))),
    eval_interval: interval,
    sample_interval: 0,
    checkpoint_interval: 0,
    keep_checkpoints: 1,
  };
}
