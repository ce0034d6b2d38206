/** The oracle itself: its gradients against central differences of its own loss. */

import assert from "assert";
import { normal } from "../../common/mod.ts";
import { type ModelConfig, modelConfig, parameters } from "../../models/mod.ts";
import { gpt } from "./float64_gpt.ts";

const SMALL = { n_layer: 2, n_head: 3, n_embd: 6, n_positions: 5, vocab_size: 7 };

/** GPT-2, and variants so that each occurs. */
const MODELS: [string, Parameters<typeof modelConfig>[0]][] = [
  ["GPT-2", SMALL],
  ["rotary positions, RMSNorm, QK-norm, SwiGLU, a head of its own, no biases", {
    ...SMALL,
    position_type: "rotary",
    rope_theta: 7,
    norm_type: "rms_norm",
    qk_norm: true,
    mlp_type: "swiglu",
    n_inner: 5,
    tie_word_embeddings: false,
    bias: false,
  }],
  ["sparse attention with ALiBi, shared heads, squared ReLU, LayerNorm without biases", {
    ...SMALL,
    attention_type: "sparse",
    window: 2,
    sparsity_factor: 3,
    n_kv_head: 1,
    position_type: "alibi",
    mlp_type: "relu_squared",
    bias: false,
  }],
];

for (const [name, model] of MODELS) {
  Deno.test(`the float64 model's gradients are the central differences of its loss: ${name}`, () =>
    compareWithDifferences(modelConfig(model)));
}

function compareWithDifferences(config: ModelConfig): void {
  const size = { B: 2, T: 4 };
  const values: Record<string, Float64Array> = {};
  parameters(config).forEach(({ name, shape }, stream) => {
    const length = shape.reduce((a, b) => a * b, 1);
    values[name] = new Float64Array(length).map((_, i) => 0.5 * normal(1, stream, i));
  });
  const ids = [3, 0, 6, 3, 1, 1, 2, 5];
  const targets = [0, 6, 3, 4, 0xffffffff, 2, 5, 1];
  const masks = {
    activation: (site: number, row: number, col: number) => (site + row + col) % 3 === 0 ? 0 : 1.5,
    attention: (site: number) => (b: number, h: number, i: number, j: number) =>
      (site + b + h + i + j) % 4 === 0 ? 0 : 4 / 3,
  };
  const loss = () => gpt(config, size, values, ids, targets, masks).loss;
  const { gradients } = gpt(config, size, values, ids, targets, masks);
  assert.deepEqual(Object.keys(gradients).sort(), Object.keys(values).sort());
  const step = 1e-5; // the error of a central difference is about step² plus 1e-16 / step
  for (const [name, data] of Object.entries(values)) {
    for (let i = 0; i < data.length; i += Math.ceil(data.length / 7)) {
      const kept = data[i]!;
      data[i] = kept + step;
      const above = loss();
      data[i] = kept - step;
      const below = loss();
      data[i] = kept;
      const difference = (above - below) / (2 * step);
      assert(Math.abs(difference - gradients[name]![i]!) < 1e-8, `${name}[${i}]`);
    }
  }
}
