/** Text that a model writes while it is trained: the program for it is made at the first text and kept. */

import type { Tokenizer } from "../data/mod.ts";
import type { Gpu, ParameterStore } from "../gpu/mod.ts";
import { Generator, type ModelConfig } from "../models/mod.ts";
import type { GenerationConfig } from "./config.ts";

/** Writes texts with weights that stand on the device, as they are at the time. */
export class TextSampler {
  readonly #gpu: Gpu;
  readonly #config: ModelConfig;
  readonly #store: ParameterStore;
  readonly #tokenizer: Tokenizer;
  #generator: Generator | undefined;

  constructor(gpu: Gpu, config: ModelConfig, store: ParameterStore, tokenizer: Tokenizer) {
    this.#gpu = gpu;
    this.#config = config;
    this.#store = store;
    this.#tokenizer = tokenizer;
  }

  /**
   * A text after a prompt, the prompt not included, up to the first of the stop texts.
   *
   * @param isStopped asked before each token; true gives the text up
   * @returns the text; undefined when it was given up
   */
  async write(
    { prompt, stop, ...options }: GenerationConfig,
    isStopped: () => boolean = () => false,
  ): Promise<string | undefined> {
    this.#generator ??= new Generator(this.#gpu, this.#config, this.#store);
    let text = "";
    for await (const token of this.#generator.generate(this.#tokenizer.encode(prompt), options)) {
      if (isStopped()) return undefined;
      text += this.#tokenizer.decode([token]);
      const ends = stop.map((end) => text.indexOf(end)).filter((at) => at >= 0);
      if (ends.length > 0) return text.slice(0, Math.min(...ends));
    }
    return text;
  }

  /** Frees what is on the device; the weights stay. */
  destroy(): void {
    this.#generator?.destroy();
    this.#generator = undefined;
  }
}
