/** Which windows of a split an evaluation looks at. The loss itself is the model's business. */

import type { Dataset, EvaluationBatch, Split } from "../data/mod.ts";

/** Where to evaluate. */
export interface EvaluationWindows {
  split: Split;
  /** Sequences of a batch. */
  batch_size: number;
  /** Tokens of a sequence. */
  max_seq_length: number;
  /** How far each sequence goes on from the one before; see `Dataset.evaluationBatches`. @default max_seq_length */
  stride?: number;
  /** Batches to look at, spread evenly over the split; all of them when left out. */
  batches?: number;
}

/** How many batches `evaluationBatches` gives. */
export function evaluationBatchCount(dataset: Dataset, windows: EvaluationWindows): number {
  const { split, batch_size, max_seq_length: T, stride = T } = windows;
  const targets = dataset[split].length - 1;
  const sequences = targets < 1 ? 0 : 1 + Math.max(0, Math.ceil((targets - T) / stride));
  const all = Math.ceil(sequences / batch_size);
  return Math.min(all, windows.batches ?? all);
}

/**
 * The batches of an evaluation, always the same ones: of n batches in all, the chosen k are those with the numbers
 * floor(i * n / k).
 */
export function* evaluationBatches(dataset: Dataset, windows: EvaluationWindows): Generator<EvaluationBatch> {
  const { split, batch_size, max_seq_length, stride } = windows;
  const { batches: _all, ...everything } = windows;
  const all = evaluationBatchCount(dataset, everything);
  const count = evaluationBatchCount(dataset, windows);
  let [number, chosen] = [0, 0];
  for (const batch of dataset.evaluationBatches(split, batch_size, max_seq_length, stride)) {
    if (number++ !== Math.floor(chosen * all / count)) continue;
    chosen++;
    yield batch;
  }
}
