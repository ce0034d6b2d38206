/** What a model in training is asked between steps: its loss on the validation split, and a text. A stop gives up either. */

import type { Dataset } from "../data/mod.ts";
import type { Gpu } from "../gpu/mod.ts";
import { Generator, type TrainableModel } from "../models/mod.ts";
import { evaluationBatchCount, evaluationBatches } from "./evaluation.ts";
import { generateText } from "./generate_text.ts";
import type { RunConfig } from "./run_config.ts";

/** What a probe works on. */
export interface ProbeOptions {
  gpu: Gpu;
  config: RunConfig;
  dataset: Dataset;
  model: TrainableModel;
  /** Asked again and again; true gives up what is being done. */
  isStopped: () => boolean;
  /** Told what is being done. */
  onProgress: (doing: string) => void;
}

/** How well a model predicts the validation split. */
export interface ValidationLoss {
  /** Mean, in nats per token. */
  val_loss: number;
  /** The same in bits, over the targets' UTF-8 bytes: comparable between tokenizers. */
  val_bits_per_byte: number;
}

/** Asks a model in training. */
export class Probe {
  readonly #o: ProbeOptions;
  /** Made at the first text and kept. */
  #generator: Generator | undefined;
  /** UTF-8 bytes that each token stands for, `[vocab_size]`. */
  #byteLengths: Uint32Array | undefined;

  constructor(options: ProbeOptions) {
    this.#o = options;
  }

  /** Mean loss over some evenly chosen batches of the validation split, or all of it; undefined when a stop came first. */
  async validationLoss(batches?: number): Promise<ValidationLoss | undefined> {
    const { dataset, model, config, isStopped, onProgress } = this.#o;
    const { batch_size, max_seq_length } = config.training;
    const windows = { split: "val" as const, batch_size, max_seq_length };
    const chosen = batches === undefined ? windows : { ...windows, batches };
    const total = evaluationBatchCount(dataset, chosen);
    let bytes = 0;
    const { loss, tokens } = await model.evaluate(
      until(isStopped, evaluationBatches(dataset, chosen), ({ targets }) => bytes += this.#bytesOf(targets)),
      (done) => onProgress(`evaluation ${done}/${total}`),
    );
    return isStopped() ? undefined : { val_loss: loss, val_bits_per_byte: loss / Math.LN2 * tokens / bytes };
  }

  /** UTF-8 bytes that targets stand for. */
  #bytesOf(targets: Uint32Array): number {
    const { tokenizer } = this.#o.dataset;
    this.#byteLengths ??= Uint32Array.from(
      { length: tokenizer.vocab_size },
      (_, id) => tokenizer.byteLength(id),
    );
    let bytes = 0;
    for (const id of targets) bytes += this.#byteLengths[id] ?? 0; // an ignored target is no token
    return bytes;
  }

  /**
   * Text that the model writes after the configured prompt, the prompt not included; undefined when a stop came first.
   *
   * @param most tokens at most, if generation.max_new_tokens is more
   */
  async text(most = Infinity): Promise<string | undefined> {
    const { gpu, config: { generation }, model, dataset, isStopped, onProgress } = this.#o;
    onProgress("sample");
    this.#generator ??= new Generator(gpu, model.config, model.store);
    const options = { ...generation, max_new_tokens: Math.min(most, generation.max_new_tokens) };
    let text = "";
    for await (const part of generateText(this.#generator, dataset.tokenizer, options)) {
      if (isStopped()) return undefined;
      text += part;
    }
    return text;
  }

  /** Frees the programs. */
  destroy(): void {
    this.#generator?.destroy();
  }
}

function* until<T>(
  isStopped: () => boolean,
  items: Iterable<T>,
  onItem: (item: T) => void,
): IterableIterator<T> {
  for (const item of items) {
    if (isStopped()) return;
    onItem(item);
    yield item;
  }
}
