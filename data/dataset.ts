/**
 * Token ids in two splits, and the batches that training and evaluation take from them.
 *
 * A training batch is a pure function of (seed, step): window b of step s begins where the counter-based random
 * number of index s * batch_size + b says, drawn anew from all windows of the split. So a resumed run sees the
 * same data without replaying it. Left out: epochs, and documents as units; the text is one long row.
 */

import { randomInt, streamOf, UserError } from "../common/mod.ts";
import type { DatasetHeader } from "./header.ts";
import type { Tokenizer } from "./tokenizers/tokenizer.ts";

/** Token ids in the narrowest type that holds them. */
export type TokenArray = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Which part of the text. */
export type Split = "train" | "val";

/** A target that no loss counts. */
export const IGNORED_TARGET = 0xffffffff;

/** Windows of a text and, for each place in them, the token that comes next. */
export interface Batch {
  input_ids: Uint32Array<ArrayBuffer>; // [B, T]
  targets: Uint32Array<ArrayBuffer>; //   [B, T]
}

/** A batch of an evaluation, whose end may be filled up. */
export interface EvaluationBatch extends Batch {
  /** Targets that count, at most B * T: the others are `IGNORED_TARGET`. */
  target_count: number;
}

/** A prepared dataset in memory. */
export class Dataset {
  /** Tokens to learn from. */
  readonly train: TokenArray; // [n_train]
  /** Tokens held back: the text's end. */
  readonly val: TokenArray; //   [n_val]

  /** @param folder where it stands on disk */
  constructor(
    tokens: TokenArray,
    readonly tokenizer: Tokenizer,
    readonly header: DatasetHeader,
    readonly folder: string,
  ) {
    const { train, val } = header.splits;
    this.train = tokens.subarray(train.start, train.end);
    this.val = tokens.subarray(val.start, val.end);
  }

  /**
   * Throws `UserError` if training windows of this length cannot be cut: T tokens and the one after them. Call
   * before long work; `batch` calls it too.
   */
  checkContext(max_seq_length: number): void {
    if (this.train.length > max_seq_length) return;
    throw new UserError(
      `the corpus ${this.header.name} is shorter than the context: ${this.train.length} tokens to train on, ` +
        `max_seq_length ${max_seq_length} needs at least ${max_seq_length + 1}`,
      { hint: "use a longer text, a smaller max_seq_length or a larger split_ratio" },
    );
  }

  /**
   * The batch of a step; the same whenever and wherever it is asked for. With several batches a step
   * (accumulated gradients), give each its own number, such as `step * accumulate_grad_batches + i`.
   */
  batch(
    split: Split,
    options: { seed: number; step: number; batch_size: number; max_seq_length: number },
  ): Batch {
    const { seed, step, batch_size: B, max_seq_length: T } = options;
    const tokens = this[split];
    if (tokens.length <= T) this.checkContext(T);
    const choices = tokens.length - T; // a window may begin at 0 ... length - T - 1
    const stream = streamOf(`data.batch.${split}`);
    const input_ids = new Uint32Array(B * T); // [B, T]
    const targets = new Uint32Array(B * T); //   [B, T]
    for (let b = 0; b < B; b++) {
      const start = randomInt(seed, stream, step * B + b, choices);
      input_ids.set(tokens.subarray(start, start + T), b * T);
      targets.set(tokens.subarray(start + 1, start + T + 1), b * T);
    }
    return { input_ids, targets };
  }

  /**
   * Batches that together have every token of a split but the first as a target exactly once, in order: windows
   * side by side, each seeing only what is in it. What the last batch has too much is id 0 with an ignored
   * target. A split of fewer than two tokens has none.
   */
  *evaluationBatches(split: Split, batch_size: number, max_seq_length: number): Generator<EvaluationBatch> {
    const tokens = this[split];
    const perBatch = batch_size * max_seq_length;
    const all = tokens.length - 1; // targets there are
    for (let start = 0; start < all; start += perBatch) {
      const target_count = Math.min(perBatch, all - start);
      const input_ids = new Uint32Array(perBatch); //                     [B, T]
      const targets = new Uint32Array(perBatch).fill(IGNORED_TARGET); // [B, T]
      input_ids.set(tokens.subarray(start, start + target_count)); // windows side by side are one row
      targets.set(tokens.subarray(start + 1, start + 1 + target_count));
      yield { input_ids, targets, target_count };
    }
  }

  /** UTF-8 bytes of all targets that `evaluationBatches` gives for a split: for bits per byte. */
  targetBytes(split: Split): number {
    const tokens = this[split];
    let bytes = 0;
    for (let start = 1; start < tokens.length; start += 65536) {
      const text = this.tokenizer.decode(tokens.subarray(start, start + 65536));
      bytes += new TextEncoder().encode(text).length;
    }
    return bytes;
  }
}
