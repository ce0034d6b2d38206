/** Weights of attention, read from the device, against their definition in float64. */

import assert from "assert";
import {
  attentionWeights,
  initialWeights,
  loadWeights,
  modelConfig,
  parameters,
  type Weights,
} from "../../models/mod.ts";
import { gpt } from "../gpu/float64_gpt.ts";
import { assertClose, randomIds, randomParameters, withGpu } from "../gpu/support.ts";

/** Odd sizes: 3 heads of 7, 13 tokens. Large weights, so that mistakes show. */
const CONFIG = modelConfig({
  n_layer: 2,
  n_head: 3,
  n_embd: 21,
  n_positions: 40,
  vocab_size: 13,
  initializer_range: 0.3,
});

/** softmax(q·k / √d) of the first layer, causal, as GPT-2 defines it. */
function firstLayer(weights: Weights, ids: Uint32Array): number[][][] {
  const { n_embd: C, n_head: H, layer_norm_epsilon } = CONFIG;
  const d = C / H;
  const of = (name: string) => weights.get(name)!.data;
  const qkv = Array.from(ids, (id, t) => {
    const x = Array.from(
      { length: C },
      (_, c) => of("wte.weight")[id * C + c]! + of("wpe.weight")[t * C + c]!,
    );
    const mean = x.reduce((sum, value) => sum + value, 0) / C;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / C;
    const normed = x.map((value, c) =>
      (value - mean) / Math.sqrt(variance + layer_norm_epsilon) * of("h.0.ln_1.weight")[c]! +
      of("h.0.ln_1.bias")[c]!
    );
    return Array.from({ length: 2 * C }, (_, j) =>
      // [q, k]
      normed.reduce(
        (sum, value, c) => sum + value * of("h.0.attn.c_attn.weight")[c * 3 * C + j]!,
        of("h.0.attn.c_attn.bias")[j]!,
      ));
  });
  return Array.from({ length: H }, (_, h) =>
    qkv.map((query, i) => {
      const scores = qkv.slice(0, i + 1).map((key) => {
        let score = 0;
        for (let c = h * d; c < (h + 1) * d; c++) score += query[c]! * key[C + c]!;
        return Math.exp(score / Math.sqrt(d));
      });
      const total = scores.reduce((sum, score) => sum + score, 0);
      return qkv.map((_, j) => j <= i ? scores[j]! / total : 0);
    }));
}

Deno.test("weights of attention are softmax(q·k / √d) over what a token sees, in every layer a distribution", async () => {
  const weights = initialWeights(CONFIG, 3);
  await withGpu({}, async (gpu) => {
    const store = loadWeights(gpu, CONFIG, weights);
    for (const T of [1, 17, 40]) {
      const ids = randomIds(T, 5, CONFIG.vocab_size);
      const found = await attentionWeights(gpu, CONFIG, store, ids, 0);
      firstLayer(weights, ids).forEach((head, h) =>
        head.forEach((row, i) =>
          row.forEach((expected, j) => {
            const difference = Math.abs(found[h]![i]![j]! - expected);
            assert.ok(difference < 1e-5, `head ${h}, ${i} to ${j}: ${found[h]![i]![j]} and ${expected}`);
          })
        )
      );
      const second = await attentionWeights(gpu, CONFIG, store, ids, 1);
      assert.deepEqual([second.length, second[0]!.length, second[0]![0]!.length], [CONFIG.n_head, T, T]);
      for (const row of second.flat()) {
        assert.ok(Math.abs(row.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-5);
      }
      if (T > 1) assert.notDeepEqual(second, found);
    }
    store.destroy();
  });
});

/** Other kinds of attention, and what is done to queries and keys before they meet. */
const KINDS: Record<string, Parameters<typeof modelConfig>[0]> = {
  "standard, shared heads, rotary positions, QK-norm": {
    attention_type: "standard",
    n_head: 6,
    n_kv_head: 2,
    position_type: "rotary",
    qk_norm: true,
  },
  "sparse with ALiBi": {
    attention_type: "sparse",
    window: 3,
    sparsity_factor: 4,
    n_head: 3,
    position_type: "alibi",
  },
};

for (const [name, section] of Object.entries(KINDS)) {
  Deno.test(`attention's weights of every layer, ${name}: float64's`, () =>
    withGpu({}, async (gpu) => {
      const config = modelConfig({ n_layer: 2, n_embd: 24, n_positions: 16, vocab_size: 37, ...section });
      const p = randomParameters(config);
      const weights = new Map(parameters(config).map(({ name, shape }) => [name, { shape, data: p[name]! }]));
      const store = loadWeights(gpu, config, weights);
      const T = 11;
      const ids = randomIds(T, 1, config.vocab_size);
      const expected = gpt(config, { B: 1, T }, p, ids, ids).weights;
      for (const layer of [0, 1]) {
        const heads = await attentionWeights(gpu, config, store, ids, layer);
        const found = heads.flatMap((rows) => rows.flatMap((row) => [...row]));
        // A rounding for each term of the longest sums on the way to the scores, which go up to some tens.
        assertClose(`layer ${layer}`, found, expected[layer]!(), 4 * config.n_embd * 16);
      }
      store.destroy();
    }));
}
