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

/** A text of a batch. */
export interface BatchText {
  /** At least one token; of a longer one than the context only the end counts. */
  prompt: ArrayLike<number>;
  /** See `GenerationOptions`. @default 0 */
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
  /** A chunk of each sequence's own; the same as `chunk` for one sequence. */
  each: () => Plan;
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
  const planOf = (sequences: number, N: number) =>
    plan(cachedGraph(config, { B: sequences, N, copies: B }), target, layout);
  return {
    one: packing === undefined ? planOf(B, 1) : plan(decodeGraph(config, { B, packing }), target, layout),
    chunk: planOf(1, chunkLength(config)),
    each: () => planOf(B, chunkLength(config)),
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
      const open = (plan: Plan, states?: Program) =>
        new Program(this.#gpu, plan, this.#store, this.#kernels, states);
      const one = open(plans.one, this.#pack);
      const chunk = open(plans.chunk, one);
      decoder = new Decoder(this.config, B, { one, chunk, each: () => open(plans.each(), one) });
      this.#decoders.set(B, decoder);
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
    const { sample = 0, ...choice } = options;
    for await (const [token] of this.generateBatch([{ prompt, sample }], choice)) yield token!;
  }

  /**
   * Generates several texts at once; each is the one that `generate` makes of its prompt and number, but for the last digits
   * of logits. They go in step: while a longer prompt is still read, token by token from the shortest one's end on, the
   * others are written already; so prompts are best of about the same length.
   *
   * @returns a token of each text at a time, in their order; undefined for one that is still read, or is done
   * @throws UserError when a logit is NaN or Infinity: the weights are broken.
   */
  async *generateBatch(
    texts: readonly BatchText[],
    options: Omit<GenerationOptions, "sample">,
  ): AsyncGenerator<(number | undefined)[]> {
    if (texts.length > 0) yield* this.#decoder(texts.length).generate(texts, options);
  }

  /** Frees the programs; the weights stay. */
  destroy(): void {
    for (const decoder of this.#decoders.values()) decoder.destroy();
    this.#pack?.destroy();
  }
}

/** The programs of B sequences side by side, and their cache, in which all have the same length. */
class Decoder {
  readonly #config: ModelConfig;
  readonly #B: number;
  readonly #one: Program;
  /** A chunk that all sequences share. */
  readonly #chunk: Program;
  /** A chunk of each sequence's own, made when it is first needed. */
  #each: Program | undefined;
  readonly #openEach: () => Program;
  readonly #chunkLength: number;
  /** Tokens in the cache, of each sequence. */
  #position = 0;
  /** Seconds of a step, by the last submit of several. */
  #seconds = Infinity;

  constructor(
    config: ModelConfig,
    B: number,
    { one, chunk, each }: { one: Program; chunk: Program; each: () => Program },
  ) {
    this.#config = config;
    this.#B = B;
    this.#one = one;
    this.#chunk = chunk;
    this.#openEach = each;
    this.#chunkLength = chunkLength(config);
  }

  get flops(): number {
    return this.#one.plan.flops;
  }

  reset(): void {
    this.#position = 0;
  }

  async feed(tokens: ArrayLike<number>): Promise<Float32Array<ArrayBuffer>> {
    return await this.#ingest([tokens], tokens.length).read("logits");
  }

  /**
   * Reads tokens in behind those in the cache: of each sequence its own, or of all the same.
   *
   * @param length how many; 0 stands for those that a sequence lacks
   * @param onLast told of the program that runs last, before it does
   * @returns the program that ran last, which has the logits
   */
  #ingest(
    sequences: ArrayLike<number>[],
    length: number,
    onLast?: (program: Program) => void,
  ): Program {
    const { n_positions } = this.#config;
    if (length === 0) throw new Error("no tokens to feed");
    if (this.#position + length > n_positions) throw new Error("the context is full");
    let last = this.#one;
    for (let at = 0; at < length;) {
      const rest = length - at;
      const chunked = rest > 1 && this.#position + this.#chunkLength <= n_positions;
      const count = chunked ? Math.min(rest, this.#chunkLength) : 1;
      const N = chunked ? this.#chunkLength : 1;
      const rows = chunked ? sequences.length : this.#B;
      last = !chunked ? this.#one : rows === 1 ? this.#chunk : this.#each ??= this.#openEach();
      const ids = new Uint32Array(rows * N); // the tail of a chunk is overwritten later
      for (let b = 0; b < rows; b++) {
        const tokens = sequences[b] ?? sequences[0]!;
        for (let i = 0; i < count; i++) ids[b * N + i] = tokens[at + i] ?? 0;
      }
      last.write("input_ids", ids);
      last.setStep({ position: this.#position, last: count - 1 });
      this.#position += count;
      at += count;
      if (at === length) onLast?.(last);
      last.run();
    }
    return last;
  }

  async *generate(
    given: readonly BatchText[],
    options: Omit<GenerationOptions, "sample">,
  ): AsyncGenerator<(number | undefined)[]> {
    const { n_positions } = this.#config;
    const { max_new_tokens } = options;
    const sampling = packSampling(options);
    /** Of each text the tokens since the context began; token i of all of them goes in at the same time. */
    const texts = given.map(({ prompt, sample = 0 }) => ({
      tokens: Array.from(prompt).slice(-n_positions),
      sample,
      done: 0,
    }));
    const isDone = ({ done }: typeof texts[number]) => done >= max_new_tokens;
    const isSame = given.every(({ prompt }) => hasTokens(prompt, given[0]!.prompt));

    /** Hands over the random numbers of steps of which the first draws token `first`; where a text has it, none is needed. */
    const prepare = (program: Program, first: number, steps: number) => {
      const randoms = new Float32Array(SAMPLE_RING * this.#B);
      for (let step = 0; step < steps; step++) {
        texts.forEach(({ tokens, sample, done }, b) => {
          const ahead = first + step - tokens.length;
          if (ahead < 0) return;
          randoms[step * this.#B + b] = samplingNumber({
            seed: options.seed,
            sample,
            position: done + ahead,
          });
        });
      }
      program.write("sampling", sampling);
      program.write("randoms", randoms);
    };
    /** Brings home what those steps drew. */
    const collect = async (program: Program, first: number, steps: number) => {
      const ring = new Uint32Array((await program.read("tokens")).buffer);
      const rows: (number | undefined)[][] = [];
      for (let step = 0; step < steps; step++) {
        const row = texts.map((text, b) => {
          const isNext = text.tokens.length === first + step;
          if (!isNext || isDone(text)) return undefined;
          const token = ring[step * this.#B + b]!;
          text.tokens.push(token);
          text.done++;
          return token;
        });
        if (row.includes(BROKEN_LOGITS)) await reportBroken(program, options);
        if (row.some((token) => token !== undefined)) rows.push(row);
      }
      return rows;
    };
    /** Reads in what all texts have, as if nothing had been before, and draws a token. */
    const begin = async () => {
      this.reset();
      const length = Math.min(...texts.filter((text) => !isDone(text)).map(({ tokens }) => tokens.length));
      const sequences = texts.map(({ tokens }) => tokens.slice(0, length));
      const isShared = isSame && texts[0]!.done === 0;
      const last = this.#ingest(
        isShared ? sequences.slice(0, 1) : sequences,
        length,
        (program) => prepare(program, length, 1),
      );
      return await collect(last, length, 1);
    };

    if (max_new_tokens === 0) return;
    yield* await begin();
    let ran = 1;
    while (!texts.every(isDone)) {
      const first = this.#position;
      if (first === n_positions) { // all that are not done have the same length
        for (const text of texts) text.tokens = text.tokens.slice(-Math.max(1, n_positions >> 1));
        yield* await begin();
        continue;
      }
      const longest = Math.max(...texts.map(({ tokens, done }) => tokens.length + max_new_tokens - done));
      const steps = Math.min(this.#burst(ran), longest - first - 1, n_positions - first);
      prepare(this.#one, first + 1, steps);
      this.#one.write("input_ids", Uint32Array.from(texts, ({ tokens }) => tokens[first] ?? 0));
      const prompts = texts.flatMap(({ tokens }, at) =>
        tokens.slice(first + 1, first + steps).map((value, i) => ({ step: i + 1, at, value }))
      );
      const time = performance.now();
      this.#one.runSteps(
        Array.from({ length: steps }, (_, slot): StepValues => ({ position: first + slot, slot })),
        { name: "input_ids", values: prompts },
      );
      this.#position += steps;
      ran += steps;
      const rows = await collect(this.#one, first + 1, steps);
      this.#seconds = (performance.now() - time) / 1000 / steps;
      yield* rows;
    }
  }

  /** Steps of the next submit: as many as ran so far, so few at first, and no more than fit in {@link BURST_SECONDS}. */
  #burst(ran: number): number {
    const fit = Math.floor(BURST_SECONDS / this.#seconds);
    return Math.max(1, Math.min(fit, ran, SAMPLE_RING));
  }

  destroy(): void {
    this.#one.destroy();
    this.#chunk.destroy();
    this.#each?.destroy();
  }
}

/** Whether two prompts have the same tokens. */
function hasTokens(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a === b || a.length === b.length && Array.from(a).every((token, i) => token === b[i]);
}

/** Says which logit is broken. */
async function reportBroken(program: Program, sampling: Sampling): Promise<never> {
  const logits = await program.read("logits");
  distribution(logits, sampling); // throws, unless a later step of the submit made good numbers again
  throw new UserError("a logit of the model is NaN or Infinity", {
    hint: "its weights are broken: use an earlier checkpoint",
  });
}
