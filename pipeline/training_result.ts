/** What a training tells: how it stands while it goes on, and how it ended. Plain data, to be passed between threads. */

import type { TrainingSeconds } from "./training_times.ts";

/** How training stands, for people. Losses in nats per token, null before the first. */
export interface TrainingProgress {
  /** Optimizer steps done. */
  step: number;
  /** The step that training ends after, if it does not stop early. */
  max_steps: number;
  /** Mean of the steps since the last line of metrics. */
  train_loss: number | null;
  /** Loss of the last evaluation. */
  val_loss: number | null;
  /** The step that val_loss was measured after; 0 before the first evaluation. */
  evaluated: number;
  /** Rate of the last interval of steps. */
  tokens_per_second: number | null;
  /** What is going on beside steps, such as `evaluation 12/40`. */
  doing: string | null;
}

/** How a training ended. Losses in nats per token. */
export interface TrainingResult {
  /** `interrupted` when it was asked to stop before its end. */
  status: "completed" | "interrupted";
  /** Optimizer steps done. */
  steps: number;
  /** Tokens trained on, repeated ones counted again. */
  tokens: number;
  /** Mean of the last interval of steps. */
  train_loss: number | null;
  /** Over the whole validation split; when interrupted that of the last evaluation. */
  val_loss: number | null;
  /** The same in bits per UTF-8 byte of the text, by which models of different tokenizers compare. */
  val_bits_per_byte: number | null;
  /** The evaluation during training with the least loss. */
  best: { step: number; val_loss: number } | null;
  /** Whether evaluations that got no better ended it before max_steps. */
  early_stopped: boolean;
  /** Rate over all steps, without what stands between them; null before the first. */
  tokens_per_second: number | null;
  /** Part of the adapter's measured peak that steps use; absent where that is not known (see `peak.ts`). */
  mfu?: number;
  /** Where the time went, over all processes that trained the run. */
  seconds: TrainingSeconds;
  /** Text written at the end; null when interrupted. */
  sample: string | null;
}
