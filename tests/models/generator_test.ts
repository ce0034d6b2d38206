/** Generation with a KV cache against the same model without one, which reads all tokens anew for every logit. */

import assert from "assert";
import { randomInt } from "../../common/mod.ts";
import { type Gpu, KernelCache, type ParameterStore, plan, Program } from "../../gpu/mod.ts";
import {
  Generator,
  type GeneratorOptions,
  initialWeights,
  loadWeights,
  logitsGraph,
  type ModelConfig,
  modelConfig,
} from "../../models/mod.ts";
import { maxDifference, OPERANDS, withGpu } from "../gpu/support.ts";

/** Odd sizes: 3 heads of 7, 13 tokens, a context of two prompt chunks and a bit. Large weights, so that mistakes show. */
const ODD = modelConfig({
  n_layer: 2,
  n_head: 3,
  n_embd: 21,
  n_positions: 70,
  vocab_size: 13,
  initializer_range: 0.3,
});

const GREEDY = { temperature: 0, top_k: 0, top_p: 1, seed: 0 };

/** Tokens that look random. */
function tokensOf(count: number, { vocab_size }: ModelConfig): number[] {
  return Array.from({ length: count }, (_, i) => randomInt(5, 1, i, vocab_size));
}

/** A function that gives the logits after every token, without a cache: [T][V]. What follows a token does not matter to it. */
function uncachedModel(gpu: Gpu, config: ModelConfig, store: ParameterStore) {
  const { n_positions: T, vocab_size: V } = config;
  const graph = logitsGraph(config, { B: 1, T });
  const program = new Program(gpu, plan(graph, gpu, store.layout), store, new KernelCache(gpu));
  return async (tokens: number[]) => {
    const ids = new Uint32Array(T);
    ids.set(tokens);
    program.write("input_ids", ids);
    program.run();
    const logits = await program.read("logits"); // [T, V]
    return tokens.map((_, t) => logits.subarray(t * V, (t + 1) * V));
  };
}

async function withModel(
  gpu: Gpu,
  config: ModelConfig,
  body: (generator: Generator, store: ParameterStore) => Promise<void>,
  options: GeneratorOptions = {},
): Promise<void> {
  const store = loadWeights(gpu, config, initialWeights(config, 3));
  const generator = new Generator(gpu, config, store, options);
  try {
    await body(generator, store);
  } finally {
    generator.destroy();
    store.destroy();
  }
}

for (
  const { name, options } of OPERANDS.filter(({ name }) => !["buffers", "textures, folded"].includes(name))
) {
  Deno.test(`cached and uncached logits agree: ${name}`, () =>
    withGpu(options, (gpu) =>
      withModel(gpu, ODD, async (generator, store) => {
        const tokens = tokensOf(ODD.n_positions, ODD);
        const expected = await uncachedModel(gpu, ODD, store)(tokens);
        const agree = (logits: Float32Array, position: number) => {
          const difference = maxDifference(logits, expected[position - 1]!);
          assert.ok(difference < 2e-5, `after ${position} tokens: ${difference}`);
        };
        // A prompt of any length, then one by one to the context's end.
        for (const length of [1, 2, 31, 32, 33, 64, 65, 69, 70]) {
          generator.reset();
          agree(await generator.feed(tokens.slice(0, length)), length);
          for (let t = length; t < Math.min(length + 3, tokens.length); t++) {
            agree(await generator.feed([tokens[t]!]), t + 1);
          }
        }
        // In pieces of any length, the last of which no longer fits a whole chunk.
        generator.reset();
        let position = 0;
        for (const piece of [1, 5, 33, 2, 20, 8, 1]) {
          const logits = await generator.feed(tokens.slice(position, position + piece));
          position += piece;
          agree(logits, position);
        }
        assert.equal(position, ODD.n_positions);
        await assert.rejects(generator.feed([0]), /context is full/);
      })));
}

Deno.test("cached and uncached logits agree: packed weights", () =>
  withGpu({}, (gpu) =>
    withModel(gpu, ODD, async (generator, store) => {
      const tokens = tokensOf(ODD.n_positions, ODD);
      const expected = await uncachedModel(gpu, ODD, store)(tokens);
      for (const prompt of [1, 20, 33]) {
        generator.reset();
        for (let t = prompt; t <= tokens.length; t++) {
          const logits = await generator.feed(tokens.slice(t === prompt ? 0 : t - 1, t));
          const difference = maxDifference(logits, expected[t - 1]!);
          assert.ok(difference < 2e-5, `prompt of ${prompt}, after ${t} tokens: ${difference}`);
        }
      }
    }, { packed: true })));

Deno.test("weights packed as f16 are those rounded to f16", () =>
  withGpu({}, async (gpu) => {
    // Token by token: chunks of a prompt read the weights as they stand.
    const rounded = { ...ODD, tie_word_embeddings: false };
    const weights = initialWeights(rounded, 3);
    for (const [name, { data }] of weights) {
      const isPacked = name === "lm_head.weight" || /^h\..*(c_attn|c_proj|c_fc)\.weight$/.test(name);
      if (isPacked) data.set(Float16Array.from(data));
    }
    const [whole, half] = [initialWeights(rounded, 3), weights].map((w) => loadWeights(gpu, rounded, w));
    const generator = new Generator(gpu, rounded, whole!, { packed: true, precision: "f16" });
    const tokens = tokensOf(ODD.n_positions, ODD);
    const expected = await uncachedModel(gpu, rounded, half!)(tokens);
    const exact = await uncachedModel(gpu, rounded, whole!)(tokens);
    let change = 0;
    for (let t = 1; t <= tokens.length; t++) {
      const logits = await generator.feed([tokens[t - 1]!]);
      const difference = maxDifference(logits, expected[t - 1]!);
      assert.ok(difference < 2e-5, `after ${t} tokens: ${difference}`);
      change = Math.max(change, maxDifference(logits, exact[t - 1]!));
    }
    assert.ok(change > 2e-5, "rounding must show");
    generator.destroy();
  }));

for (const options of [{}, { packed: true }]) {
  Deno.test(`texts side by side are those that are written alone: ${options.packed ? "packed" : "as they stand"}`, () =>
    withGpu({}, (gpu) =>
      withModel(gpu, { ...ODD, n_positions: 40 }, async (generator) => {
        const choice = { temperature: 1, top_k: 5, top_p: 0.95, seed: 4, max_new_tokens: 60 }; // beyond the context's end
        const samples = [0, 3, 1, 7, 2, 5, 4, 6, 8];
        const prompt = tokensOf(37, ODD);
        const together = await Array.fromAsync(
          generator.generateBatch(samples.map((sample) => ({ prompt, sample })), choice),
        );
        assert.equal(together.length, 60);
        for (const [b, sample] of samples.entries()) {
          const alone = await Array.fromAsync(generator.generate(prompt, { ...choice, sample }));
          assert.deepEqual(together.map((row) => row[b]), alone, `sample ${sample}`);
        }
      }, options)));
}

/** Lengths of prompts: below, at and beyond a chunk of a prompt, and beyond the context; and tokens to write. */
const BATCHES = {
  "from 3 tokens on": { lengths: [34, 3, 41, 33, 90, 35], max_new_tokens: 60 },
  "from 33 tokens on": { lengths: [34, 41, 33, 90, 35], max_new_tokens: 60 },
  "the first done long before the context is full": { lengths: [3, 38], max_new_tokens: 10 },
};

for (const options of [{}, { packed: true }]) {
  for (const [name, { lengths, max_new_tokens }] of Object.entries(BATCHES)) {
    const weights = options.packed ? "packed" : "as they stand";
    Deno.test(`prompts side by side: each text is the one that is written alone: ${weights}, ${name}`, () =>
      withGpu({}, (gpu) =>
        withModel(gpu, { ...ODD, n_positions: 40 }, async (generator) => {
          const choice = { temperature: 1, top_k: 5, top_p: 0.95, seed: 4, max_new_tokens };
          const texts = lengths.map((length, i) => ({
            prompt: tokensOf(length + i, ODD).slice(i), // each its own
            sample: i % 2,
          }));
          const rows = await Array.fromAsync(generator.generateBatch(texts, choice));
          assert.ok(rows.every((row) => row.some((token) => token !== undefined)));
          for (const [b, { prompt, sample }] of texts.entries()) {
            const alone = await Array.fromAsync(generator.generate(prompt, { ...choice, sample }));
            const together = rows.map((row) => row[b]).filter((token) => token !== undefined);
            assert.deepEqual(together, alone, `a prompt of ${prompt.length} tokens`);
          }
        }, options)));
  }
}

Deno.test("no texts, or none of their tokens, are no batch", () =>
  withGpu({}, (gpu) =>
    withModel(gpu, ODD, async (generator) => {
      assert.deepEqual(
        await Array.fromAsync(generator.generateBatch([], { ...GREEDY, max_new_tokens: 3 })),
        [],
      );
      const none = generator.generateBatch([{ prompt: [1] }], { ...GREEDY, max_new_tokens: 0 });
      assert.deepEqual(await Array.fromAsync(none), []);
    })));

const AT_ONCE = { n_layer: 2, n_embd: 24, n_positions: 40, vocab_size: 13, initializer_range: 0.3 };

/** What concerns a cache: positions that are not learned, shared heads, keys that are left out. */
const VARIANTS: Record<string, Parameters<typeof modelConfig>[0]> = {
  "rotary positions, shared heads, QK-norm, RMSNorm, SwiGLU, a head of its own, no biases": {
    ...AT_ONCE,
    n_head: 4,
    n_kv_head: 2,
    position_type: "rotary",
    norm_type: "rms_norm",
    qk_norm: true,
    mlp_type: "swiglu",
    tie_word_embeddings: false,
    bias: false,
  },
  "sparse attention with ALiBi, shared heads": {
    ...AT_ONCE,
    n_head: 6,
    n_kv_head: 3,
    position_type: "alibi",
    attention_type: "sparse",
    window: 5,
    sparsity_factor: 3,
  },
  "standard attention with ALiBi": {
    ...AT_ONCE,
    n_head: 3,
    position_type: "alibi",
    attention_type: "standard",
  },
};

for (const [name, section] of Object.entries(VARIANTS)) {
  Deno.test(`cached and uncached logits agree: ${name}, packed weights`, () =>
    withGpu({}, async (gpu) => {
      const config = modelConfig(section);
      await withModel(gpu, config, async (generator, store) => {
        const tokens = tokensOf(config.n_positions, config);
        const expected = await uncachedModel(gpu, config, store)(tokens);
        for (let t = 1; t <= tokens.length; t++) {
          const difference = maxDifference(await generator.feed([tokens[t - 1]!]), expected[t - 1]!);
          assert.ok(difference < 2e-5, `after ${t} tokens: ${difference}`);
        }
      }, { packed: true });
    }));

  for (const mode of [OPERANDS[0]!, OPERANDS[3]!]) {
    Deno.test(`cached and uncached logits agree: ${name}, ${mode.name}`, () =>
      withGpu(mode.options, async (gpu) => {
        const config = modelConfig(section);
        await withModel(gpu, config, async (generator, store) => {
          const tokens = tokensOf(config.n_positions, config);
          const expected = await uncachedModel(gpu, config, store)(tokens);
          for (const prompt of [1, 20, 33]) { // one by one, a chunk that is not full, one that is and another token
            generator.reset();
            for (let t = prompt; t <= tokens.length; t++) {
              const logits = await generator.feed(tokens.slice(t === prompt ? 0 : t - 1, t));
              const difference = maxDifference(logits, expected[t - 1]!);
              assert.ok(difference < 2e-5, `prompt of ${prompt}, after ${t} tokens: ${difference}`);
            }
          }
        });
      }));
  }
}

Deno.test("a context shorter than a prompt chunk", () =>
  withGpu({}, async (gpu) => {
    const config = modelConfig({
      n_layer: 1,
      n_head: 1,
      n_embd: 6,
      n_positions: 5,
      vocab_size: 3,
      initializer_range: 0.5,
    });
    await withModel(gpu, config, async (generator, store) => {
      const tokens = tokensOf(5, config);
      const expected = await uncachedModel(gpu, config, store)(tokens);
      for (let length = 1; length <= 5; length++) {
        generator.reset();
        let logits = await generator.feed(tokens.slice(0, length));
        assert.ok(maxDifference(logits, expected[length - 1]!) < 1e-5, `${length}`);
        for (let t = length; t < 5; t++) logits = await generator.feed([tokens[t]!]);
        assert.ok(maxDifference(logits, expected[4]!) < 1e-5, `${length} and on`);
      }
      await assert.rejects(generator.feed([]), /no tokens/);
    });
  }));

Deno.test("greedy generation takes the likeliest token each time, also past the context's end", () =>
  withGpu({}, async (gpu) => {
    const config = { ...ODD, n_positions: 12 };
    await withModel(gpu, config, async (generator, store) => {
      const uncached = uncachedModel(gpu, config, store);
      const prompt = tokensOf(7, config);
      const generated = await Array.fromAsync(generator.generate(prompt, { ...GREEDY, max_new_tokens: 20 }));
      const tokens = [...prompt];
      let start = 0; // the window's first token: when the context is full, its later half is read in again
      for (const token of generated) {
        if (tokens.length - start > 12) start = tokens.length - 6;
        const logits = (await uncached(tokens.slice(start))).at(-1)!;
        assert.equal(token, logits.indexOf(Math.max(...logits)));
        tokens.push(token);
      }
      assert.equal(generated.length, 20);
    });
  }));

Deno.test("the same seed writes the same tokens, another sample or seed others; of a long prompt the end counts", () =>
  withGpu({}, (gpu) =>
    withModel(gpu, ODD, async (generator) => {
      const write = (prompt: number[], seed: number, sample: number) =>
        Array.fromAsync(
          generator.generate(prompt, {
            temperature: 1,
            top_k: 0,
            top_p: 1,
            seed,
            sample,
            max_new_tokens: 30,
          }),
        );
      const prompt = tokensOf(100, ODD);
      const first = await write(prompt, 1, 0);
      assert.deepEqual(await write(prompt.slice(-70), 1, 0), first);
      assert.notDeepEqual(await write(prompt, 1, 1), first);
      assert.notDeepEqual(await write(prompt, 2, 0), first);
    })));
