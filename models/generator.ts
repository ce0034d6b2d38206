/**
 * Generating tokens with a KV cache: prompts go in by chunks, then one token after the other, each drawn on the device and fed
 * back there, so that several come home at once. Text and tokenizers are somebody else's business; how a token is
 * chosen from logits is told by `sampling.ts`.
 *
 * When the context is full the later half of it is read in again and generation goes on from there: positions are
 * absolute in GPT-2, so the cache cannot simply slide.
 */

import { UserError } from "../common/mod.ts";
import {
  BROKEN_LOGITS,
  type Gpu,
  KernelCache,
  layoutParameters,
  type ParameterLayout,
  ParameterStore,
  type Plan,
  plan,
  type PlanTarget,
  Program,
  SAMPLE_RING,
  type StepValues,
  type WeightPrecision,
} from "../gpu/mod.ts";
import type { ModelConfig } from "./config.ts";
import { decodeGraph, packGraph, packingOf } from "./decode.ts";
import { cachedGraph } from "./gpt.ts";
import { parameterSpecs } from "./parameter_specs.ts";
import { parameters, type Weights } from "./parameters.ts";
import { distribution, packSampling, type Sampling, samplingNumber } from "./sampling.ts";

/** Tokens of a prompt that are read in at once. */
const PROMPT_CHUNK = 32;

/** Seconds that the steps of one submit may take, so that text keeps flowing. */
const BURST_SECONDS = 0.08;

/** What to generate. */
export interface GenerationOptions extends Sampling {
  max_new_tokens: number;
  seed: number;
  /** Number of the sample among several of one prompt; each draws its own random numbers. @default 0 */
  sample?: number;
}

/** How a generator holds the weights. */
export interface GeneratorOptions {
  /**
   * Whether to keep a copy of the weights in the order in which decoding reads them, where the adapter has kernels for that:
   * faster, but it does not follow later changes of the weights. @default false
   */
  packed?: boolean;
  /** Of the packed copy: f16 is half the bytes to read, and changes the logits a little. @default "f32" */
  precision?: WeightPrecision;
}

/** Puts weights on the device for everything but training. */
export function loadWeights(gpu: Gpu, config: ModelConfig, weights: Weights): ParameterStore {
  const store = new ParameterStore(gpu, parameterSpecs(config), { training: false });
  for (const { name } of parameters(config)) store.write(name, weights.get(name)!.data);
  store.syncMirrors();
  return store;
}

/** Plans of what a `Generator` runs. */
export interface GenerationPlans {
  /** One token of each sequence alone. */
  one: Plan;
  /** A chunk of the prompt that all sequences share; it shares the states of `one`, the KV cache. */
  chunk: Plan;
  /** What fills the packed weights, which are states of `one` too; undefined where it has none. */
  pack: Plan | undefined;
}

/**
 * Plans a generation.
 *
 * @param layout of the store that holds the weights
 * @param B sequences at once
 * @throws UserError when f16 weights are wanted that the adapter or the model has no kernels for.
 */
export function generationPlans(
  config: ModelConfig,
  target: PlanTarget,
  layout: ParameterLayout = layoutParameters(parameterSpecs(config), target),
  { packed = false, precision = "f32" }: GeneratorOptions = {},
  B = 1,
): GenerationPlans {
  const packing = packed ? packingOf(config, target, precision) : undefined;
  if (precision === "f16" && packing === undefined) {
    throw new UserError(
      config.lora === undefined
        ? "this adapter has no kernels for generation.precision f16"
        : "generation.precision f16 is not for a model with adapters",
      { hint: "leave generation.precision at f32" },
    );
  }
  const planOf = (N: number, copies?: number) =>
    plan(cachedGraph(config, { B: copies === undefined ? B : 1, N, copies: copies ?? B }), target, layout);
  return {
    one: packing === undefined ? planOf(1) : plan(decodeGraph(config, { B, packing }), target, layout),
    chunk: planOf(chunkLength(config), B),
    pack: packing && plan(packGraph(config, packing), target, layout),
  };
}

function chunkLength({ n_positions }: ModelConfig): number {
  return Math.min(PROMPT_CHUNK, n_positions);
}

/** A model ready to generate. */
export class Generator {
  readonly config: ModelConfig;
  readonly #gpu: Gpu;
  readonly #store: ParameterStore;
  readonly #kernels: KernelCache;
  readonly #options: GeneratorOptions;
  /** Holds the packed weights for as long as there are programs. */
  #pack: Program | undefined;
  /** By the number of sequences at once. */
  readonly #decoders = new Map<number, Decoder>();

  /** @param store weights on the device, of a training or from `loadWeights` */
  constructor(
    gpu: Gpu,
    config: ModelConfig,
    store: ParameterStore,
    { kernels = new KernelCache(gpu), ...options }: GeneratorOptions & { kernels?: KernelCache } = {},
  ) {
    this.config = config;
    this.#gpu = gpu;
    this.#store = store;
    this.#kernels = kernels;
    this.#options = options;
    this.#decoder(1);
  }

  #decoder(B: number): Decoder {
    let decoder = this.#decoders.get(B);
    if (decoder === undefined) {
      const plans = generationPlans(this.config, this.#gpu, this.#store.layout, this.#options, B);
      if (plans.pack !== undefined && this.#pack === undefined) {
        this.#pack = new Program(this.#gpu, plans.pack, this.#store, this.#kernels);
        this.#pack.run();
      }
      const one = new Program(this.#gpu, plans.one, this.#store, this.#kernels, this.#pack);
      const chunk = new Program(this.#gpu, plans.chunk, this.#store, this.#kernels, one);
      this.#decoders.set(B, decoder = new Decoder(this.config, B, one, chunk));
    }
    return decoder;
  }

  /** Floating-point operations of one token that goes in alone. */
  get flops(): number {
    return this.#decoder(1).flops;
  }

  /** Empties the cache. */
  reset(): void {
    this.#decoder(1).reset();
  }

  /**
   * Reads tokens in behind those in the cache and returns the logits for the token after them, [V].
   *
   * @throws Error when they do not fit the context, or there are none.
   */
  async feed(tokens: ArrayLike<number>): Promise<Float32Array<ArrayBuffer>> {
    return await this.#decoder(1).feed(tokens);
  }

  /**
   * Generates tokens after a prompt, one by one.
   *
   * @param prompt at least one token; of a longer one than the context only the end counts
   * @throws UserError when a logit is NaN or Infinity: the weights are broken.
   */
  async *generate(prompt: ArrayLike<number>, options: GenerationOptions): AsyncGenerator<number> {
    for await (const [token] of this.generateBatch(prompt, options, [options.sample ?? 0])) yield token!;
  }

  /**
   * Generates several texts of one prompt at once; each is the one that `generate` makes of its number.
   *
   * @param samples numbers of the samples
   * @returns a token of each text at a time, in the order of `samples`
   */
  async *generateBatch(
    prompt: ArrayLike<number>,
    options: Omit<GenerationOptions, "sample">,
    samples: readonly number[],
  ): AsyncGenerator<number[]> {
    yield* this.#decoder(samples.length).generate(Array.from(prompt), options, samples);
  }

  /** Frees the programs; the weights stay. */
  destroy(): void {
    for (const decoder of this.#decoders.values()) decoder.destroy();
    this.#pack?.destroy();
  }
}

/** The programs of B sequences side by side, which have one prompt and the same length, and their cache. */
class Decoder {
  readonly #config: ModelConfig;
  readonly #B: number;
  readonly #one: Program;
  readonly #chunk: Program;
  readonly #chunkLength: number;
  /** Tokens in the cache, of each sequence. */
  #position = 0;
  /** Seconds of a step, by the last submit of several. */
  #seconds = Infinity;

  constructor(config: ModelConfig, B: number, one: Program, chunk: Program) {
    this.#config = config;
    this.#B = B;
    this.#one = one;
    this.#chunk = chunk;
    this.#chunkLength = chunkLength(config);
  }

  get flops(): number {
    return this.#one.plan.flops;
  }

  reset(): void {
    this.#position = 0;
  }

  async feed(tokens: ArrayLike<number>): Promise<Float32Array<ArrayBuffer>> {
    return await this.#ingest([tokens]).read("logits");
  }

  /**
   * Reads tokens in behind those in the cache: of each sequence its own, or of all the same.
   *
   * @returns the program that ran last, which has the logits
   */
  #ingest(sequences: ArrayLike<number>[]): Program {
    const { n_positions } = this.#config;
    const { length } = sequences[0]!;
    if (length === 0) throw new Error("no tokens to feed");
    if (this.#position + length > n_positions) throw new Error("the context is full");
    let last = this.#one;
    for (let at = 0; at < length;) {
      const rest = length - at;
      const chunked = sequences.length === 1 && rest > 1 &&
        this.#position + this.#chunkLength <= n_positions;
      const count = chunked ? Math.min(rest, this.#chunkLength) : 1;
      last = chunked ? this.#chunk : this.#one;
      const ids = new Uint32Array(chunked ? this.#chunkLength : this.#B); // the tail of a chunk is overwritten later
      if (chunked) { for (let i = 0; i < count; i++) ids[i] = sequences[0]![at + i]!; }
      else for (let b = 0; b < this.#B; b++) ids[b] = (sequences[b] ?? sequences[0]!)[at]!;
      last.write("input_ids", ids);
      last.setStep({ position: this.#position, last: count - 1 });
      last.run();
      this.#position += count;
      at += count;
    }
    return last;
  }

  async *generate(
    prompt: number[],
    options: Omit<GenerationOptions, "sample">,
    samples: readonly number[],
  ): AsyncGenerator<number[]> {
    const { n_positions } = this.#config;
    const { max_new_tokens } = options;
    const texts = samples.map(() => [...prompt]);
    for (const program of [this.#one, this.#chunk]) program.write("sampling", packSampling(options));
    let done = 0;
    /** Hands over the random numbers of the next tokens. */
    const prepare = (program: Program, steps: number) => {
      const randoms = new Float32Array(SAMPLE_RING * this.#B);
      for (let step = 0; step < steps; step++) {
        samples.forEach((sample, b) => {
          randoms[step * this.#B + b] = samplingNumber({ seed: options.seed, sample, position: done + step });
        });
      }
      program.write("randoms", randoms);
    };
    /** Brings the tokens of the last steps home. */
    const collect = async (program: Program, steps: number): Promise<number[][]> => {
      const tokens = new Uint32Array((await program.read("tokens")).buffer);
      const rows = Array.from(
        { length: steps },
        (_, i) => [...tokens.subarray(i * this.#B, (i + 1) * this.#B)],
      );
      if (rows.flat().includes(BROKEN_LOGITS)) await reportBroken(program, options);
      rows.forEach((row) => row.forEach((token, b) => texts[b]!.push(token)));
      done += steps;
      return rows;
    };
    /** Reads the end of each text in, as if nothing had been before, and draws a token. */
    const begin = async (length: number): Promise<number[][]> => {
      this.reset();
      for (const program of [this.#one, this.#chunk]) prepare(program, 1);
      const sequences = texts.map((text) => text.slice(-length));
      const last = this.#ingest(done === 0 ? sequences.slice(0, 1) : sequences);
      return await collect(last, 1);
    };

    yield* await begin(n_positions);
    while (done < max_new_tokens) {
      if (this.#position === n_positions) {
        yield* await begin(Math.max(1, n_positions >> 1));
        continue;
      }
      const steps = Math.min(this.#burst(done), max_new_tokens - done, n_positions - this.#position);
      prepare(this.#one, steps);
      this.#one.write("input_ids", Uint32Array.from(texts, (text) => text.at(-1)!));
      const time = performance.now();
      this.#one.runSteps(Array.from({ length: steps }, (_, slot): StepValues => ({
        position: this.#position + slot,
        slot,
      })));
      this.#position += steps;
      const rows = await collect(this.#one, steps);
      this.#seconds = (performance.now() - time) / 1000 / steps;
      yield* rows;
    }
  }

  /** Steps of the next submit: few at first, and never more than fit in {@link BURST_SECONDS}. */
  #burst(done: number): number {
    const fit = Math.floor(BURST_SECONDS / this.#seconds);
    return Math.max(1, Math.min(fit, done, SAMPLE_RING));
  }

  destroy(): void {
    this.#one.destroy();
    this.#chunk.destroy();
  }
}

/** Says which logit is broken. */
async function reportBroken(program: Program, sampling: Sampling): Promise<never> {
  const logits = await program.read("logits");
  distribution(logits, sampling); // throws, unless a later step of the submit made good numbers again
  throw new UserError("a logit of the model is NaN or Infinity", {
    hint: "its weights are broken: use an earlier checkpoint",
  });
}
