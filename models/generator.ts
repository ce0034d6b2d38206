/**
 * Generating tokens with a KV cache: prompts go in by chunks, then one token after the other. Text and tokenizers are
 * somebody else's business; choosing a token from logits is `sampling.ts`.
 *
 * When the context is full the later half of it is read in again and generation goes on from there: positions are
 * absolute in GPT-2, so the cache cannot simply slide.
 */

import {
  type Gpu,
  KernelCache,
  layoutParameters,
  type MixedPrecision,
  type ParameterLayout,
  ParameterStore,
  type Plan,
  plan,
  type PlanTarget,
  Program,
} from "../gpu/mod.ts";
import type { ModelConfig } from "./config.ts";
import { cachedGraph } from "./gpt.ts";
import { parameterSpecs } from "./parameter_specs.ts";
import { parameters, type Weights } from "./parameters.ts";
import { sampleToken, type Sampling } from "./sampling.ts";

/** Tokens of a prompt that are read in at once. */
const PROMPT_CHUNK = 32;

/** What to generate. */
export interface GenerationOptions extends Sampling {
  max_new_tokens: number;
  seed: number;
  /** Number of the sample among several of one prompt; each draws its own random numbers. @default 0 */
  sample?: number;
}

/**
 * Puts weights on the device for everything but training.
 *
 * @param mixed_precision `f16`: kernels read the matrices in half precision, which is half the bytes
 */
export function loadWeights(
  gpu: Gpu,
  config: ModelConfig,
  weights: Weights,
  { mixed_precision = "none" }: { mixed_precision?: MixedPrecision } = {},
): ParameterStore {
  const store = new ParameterStore(gpu, parameterSpecs(config), { training: false, mixed_precision });
  for (const { name } of parameters(config)) store.write(name, weights.get(name)!.data);
  store.syncMirrors();
  return store;
}

/**
 * What a `Generator` runs: one token alone, and a chunk of a prompt; both share the states of `one`, the KV cache.
 *
 * @param layout of the store that holds the weights
 */
export function generationPlans(
  config: ModelConfig,
  target: PlanTarget,
  layout: ParameterLayout = layoutParameters(parameterSpecs(config), target),
): { one: Plan; chunk: Plan } {
  const planOf = (N: number) => plan(cachedGraph(config, { B: 1, N }), target, layout);
  return { one: planOf(1), chunk: planOf(chunkLength(config)) };
}

function chunkLength({ n_positions }: ModelConfig): number {
  return Math.min(PROMPT_CHUNK, n_positions);
}

/** A model ready to generate. */
export class Generator {
  readonly config: ModelConfig;
  readonly #one: Program;
  readonly #chunk: Program;
  readonly #chunkLength: number;
  /** Tokens in the cache. */
  #position = 0;

  /** @param store weights on the device, of a training or from `loadWeights` */
  constructor(gpu: Gpu, config: ModelConfig, store: ParameterStore, kernels = new KernelCache(gpu)) {
    this.config = config;
    this.#chunkLength = chunkLength(config);
    const { one, chunk } = generationPlans(config, gpu, store.layout);
    this.#one = new Program(gpu, one, store, kernels);
    this.#chunk = new Program(gpu, chunk, store, kernels, this.#one);
  }

  /** Floating-point operations of one token that goes in alone. */
  get flops(): number {
    return this.#one.plan.flops;
  }

  /** Empties the cache. */
  reset(): void {
    this.#position = 0;
  }

  /**
   * Reads tokens in behind those in the cache and returns the logits for the token after them, [V].
   *
   * @throws Error when they do not fit the context, or there are none.
   */
  async feed(tokens: ArrayLike<number>): Promise<Float32Array<ArrayBuffer>> {
    const { n_positions } = this.config;
    if (tokens.length === 0) throw new Error("no tokens to feed");
    if (this.#position + tokens.length > n_positions) throw new Error("the context is full");
    let last = this.#one;
    for (let at = 0; at < tokens.length;) {
      const rest = tokens.length - at;
      const chunked = rest > 1 && this.#position + this.#chunkLength <= n_positions;
      const count = chunked ? Math.min(rest, this.#chunkLength) : 1;
      last = chunked ? this.#chunk : this.#one;
      const ids = new Uint32Array(chunked ? this.#chunkLength : 1); // the tail of a chunk is overwritten later
      for (let i = 0; i < count; i++) ids[i] = tokens[at + i]!;
      last.write("input_ids", ids);
      last.setStep({ position: this.#position, last: count - 1 });
      last.run();
      this.#position += count;
      at += count;
    }
    return await last.read("logits");
  }

  /**
   * Generates tokens after a prompt, one by one.
   *
   * @param prompt at least one token; of a longer one than the context only the end counts
   */
  async *generate(prompt: ArrayLike<number>, options: GenerationOptions): AsyncGenerator<number> {
    const { n_positions } = this.config;
    const tokens = Array.from(prompt);
    const sample = options.sample ?? 0;
    this.reset();
    let logits = await this.feed(tokens.slice(-n_positions));
    for (let i = 0; i < options.max_new_tokens; i++) {
      const token = sampleToken(logits, options, { seed: options.seed, sample, position: i });
      yield token;
      tokens.push(token);
      if (i === options.max_new_tokens - 1) return;
      if (this.#position === n_positions) {
        this.reset();
        logits = await this.feed(tokens.slice(-Math.max(1, n_positions >> 1)));
      } else {
        logits = await this.feed([token]);
      }
    }
  }

  /** Frees the programs; the weights stay. */
  destroy(): void {
    this.#one.destroy();
    this.#chunk.destroy();
  }
}
