/** How well a model predicts a text, over windows side by side or sliding: loss, perplexity, bits per byte. */

import type { Dataset, Split } from "../data/mod.ts";
import { type Gpu, KernelCache } from "../gpu/mod.ts";
import { evaluateWith, type LoadedModel, loadWeights, openEvaluation } from "../models/mod.ts";
import { evaluationBatchCount } from "./evaluation.ts";

/** What an evaluation found. */
export interface Evaluation {
  /** Mean loss, in nats per token. */
  loss: number;
  /** e^loss: among how many equally likely tokens the model is undecided, so to speak. */
  perplexity: number;
  /** All the targets' loss in bits, over their UTF-8 bytes: comparable between tokenizers. */
  bits_per_byte: number;
  /** Targets that were predicted: all tokens of the split but the first. */
  tokens: number;
}

/** What to evaluate on. */
export interface EvaluationSettings {
  split: Split;
  /** Windows that pass through the model at once; changes nothing but speed and memory. */
  batch_size: number;
  /** Tokens of a window: how much the model sees at most, at most its n_positions. */
  max_seq_length: number;
  /**
   * How far each window goes on from the one before, at most max_seq_length: every token is predicted once, with at least
   * max_seq_length - stride tokens before it (but for the first window's). @default max_seq_length, side by side
   */
  stride?: number;
  /** Told how many batches of how many are done. */
  progress?: (done: number, total: number) => void;
}

/** Evaluates a model over a whole split. The device stays open. */
export async function evaluateModel(
  gpu: Gpu,
  { config, weights }: Pick<LoadedModel, "config" | "weights">,
  dataset: Dataset,
  settings: EvaluationSettings,
): Promise<Evaluation> {
  const { split, batch_size: B, max_seq_length: T, stride = T, progress } = settings;
  const total = evaluationBatchCount(dataset, settings);
  progress?.(0, total);
  const store = loadWeights(gpu, config, weights);
  const { program, reader } = openEvaluation(gpu, config, { B, T }, store, new KernelCache(gpu));
  try {
    const batches = dataset.evaluationBatches(split, B, T, stride);
    const { loss, tokens } = await evaluateWith(program, reader, batches, (done) => progress?.(done, total));
    const bits = loss / Math.LN2 * tokens;
    return { loss, perplexity: Math.exp(loss), bits_per_byte: bits / dataset.targetBytes(split), tokens };
  } finally {
    program.destroy();
    reader.destroy();
    store.destroy();
  }
}
