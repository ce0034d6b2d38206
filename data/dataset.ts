/**
 * Token ids in two splits, and the batches that training and evaluation take from them.
 *
 * A training batch is a pure function of (seed, step): window b of step s is draw s * batch_size + b, and a counter-based
 * random number says where it begins. So a resumed run sees the same data without replaying it. Left out: documents as
 * units; the text is one long row.
 */

import { randomInt, streamOf, UserError } from "../common/mod.ts";
import type { TokenArray, Tokens } from "./file_tokens.ts";
import type { DatasetHeader } from "./header.ts";
import { shuffled } from "./permutation.ts";
import type { Tokenizer } from "./tokenizers/tokenizer.ts";

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

/** Which windows training sees; the keys are those of the config's section `data`. */
export interface WindowOptions {
  /** Tokens of a sequence that windows are cut from; null: a window may begin anywhere. @default null */
  sequence_length?: number | null;
  /** Sequences begin every so many tokens; null: as many as they are long. @default null */
  stride?: number | null;
  /** Draw windows at random; false: one after the other. @default true */
  shuffle?: boolean;
}

/** A prepared dataset; its tokens are in memory if they are few, else on disk. */
export class Dataset {
  /** Tokens to learn from. */
  readonly train: Tokens; // [n_train]
  /** Tokens held back: the text's end. */
  readonly val: Tokens; //   [n_val]
  private readonly windows: Required<WindowOptions>;

  /**
   * @param tokens all tokens, or the two splits
   * @param folder where it stands on disk
   */
  constructor(
    tokens: TokenArray | { train: Tokens; val: Tokens },
    readonly tokenizer: Tokenizer,
    readonly header: DatasetHeader,
    readonly folder: string,
    windows: WindowOptions = {},
  ) {
    const { train, val } = header.splits;
    const isWhole = tokens instanceof Uint16Array || tokens instanceof Uint32Array;
    this.train = isWhole ? tokens.subarray(train.start, train.end) : tokens.train;
    this.val = isWhole ? tokens.subarray(val.start, val.end) : tokens.val;
    this.windows = { sequence_length: null, stride: null, shuffle: true, ...windows };
  }

  /**
   * Throws `UserError` if training windows of this length cannot be cut: T tokens and the one after them. Call
   * before long work; `batch` calls it too.
   */
  checkContext(max_seq_length: number): void {
    const { sequence_length } = this.windows;
    if (sequence_length !== null && sequence_length < max_seq_length) {
      throw new UserError(
        `data.sequence_length ${sequence_length} is shorter than training's max_seq_length ${max_seq_length}`,
        { hint: "make them equal, or leave sequence_length out" },
      );
    }
    const length = sequence_length ?? max_seq_length;
    if (this.train.length > length) return;
    throw new UserError(
      `the corpus ${this.header.name} is shorter than the context: ${this.train.length} tokens to train on, ` +
        `${sequence_length === null ? "max_seq_length" : "sequence_length"} ${length} needs at least ${
          length + 1
        }`,
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
    if (split === "train" || tokens.length <= T) this.checkContext(T);
    const input_ids = new Uint32Array(B * T); // [B, T]
    const targets = new Uint32Array(B * T); //   [B, T]
    for (let b = 0; b < B; b++) {
      const start = this.windowStart(split, seed, step * B + b, T);
      const window = tokens.subarray(start, start + T + 1); // [T + 1]
      input_ids.set(window.subarray(0, T), b * T);
      targets.set(window.subarray(1), b * T);
    }
    return { input_ids, targets };
  }

  /** Where the window of a draw begins. With sequences, each is drawn once before any is drawn again. */
  private windowStart(split: Split, seed: number, draw: number, T: number): number {
    const { sequence_length, stride, shuffle } = this.windows;
    const stream = streamOf(`data.batch.${split}`);
    const n = this[split].length;
    if (sequence_length === null && stride === null && shuffle) return randomInt(seed, stream, draw, n - T);
    const length = Math.min(sequence_length ?? T, n - 1); // a split may be shorter than a sequence
    const step = stride ?? length;
    const count = Math.floor((n - 1 - length) / step) + 1; // sequences with the token after them
    const [round, place] = [Math.floor(draw / count), draw % count];
    return step * (shuffle ? shuffled(place, count, { seed, stream, round }) : place);
  }

  /**
   * Batches that together have every token of a split but the first as a target exactly once, in order. What the last
   * batch has too much is id 0 with an ignored target. A split of fewer than two tokens has none.
   *
   * @param stride how far each window goes on from the one before. As far as it is long, each token sees only what is in
   *   its own window; with less, windows overlap and only the last `stride` targets count, which then have at least
   *   T - stride tokens before them: slower, and a lower loss. @default max_seq_length
   */
  *evaluationBatches(
    split: Split,
    batch_size: number,
    max_seq_length: number,
    stride: number = max_seq_length,
  ): Generator<EvaluationBatch> {
    const tokens = this[split];
    const [B, T] = [batch_size, max_seq_length];
    const all = tokens.length - 1; // targets there are
    const windows = all < 1 ? 0 : Math.max(1, Math.ceil((all - T) / stride) + 1);
    for (let first = 0; first < windows; first += B) {
      const input_ids = new Uint32Array(B * T); //                     [B, T]
      const targets = new Uint32Array(B * T).fill(IGNORED_TARGET); // [B, T]
      let target_count = 0;
      for (let b = 0; b < Math.min(B, windows - first); b++) {
        const start = (first + b) * stride;
        const window = tokens.subarray(start, start + T + 1); // [T + 1], less at the end
        const seen = start === 0 ? 0 : T - stride; //            targets that counted in the window before
        input_ids.set(window.subarray(0, window.length - 1), b * T);
        targets.set(window.subarray(1 + seen), b * T + seen);
        target_count += window.length - 1 - seen;
      }
      yield { input_ids, targets, target_count };
    }
  }

  /**
   * UTF-8 bytes of the text that all targets of `evaluationBatches` stand for: for bits per byte. Special tokens are
   * targets but no text.
   */
  targetBytes(split: Split): number {
    const tokens = this[split];
    const lengths = Uint32Array.from(
      { length: this.tokenizer.vocab_size },
      (_, id) => this.tokenizer.byteLength(id),
    );
    let bytes = 0;
    for (let start = 1; start < tokens.length; start += 65536) {
      for (const id of tokens.subarray(start, start + 65536)) bytes += lengths[id]!;
    }
    return bytes;
  }
}
