/** Whole models through the graph that training runs: loss and every gradient against float64. */

import { IGNORE_TARGET, tokenIndex } from "../../gpu/mod.ts";
import { modelConfig, parameters } from "../../models/mod.ts";
import { trainingGraph } from "../../models/gpt.ts";
import type { DropoutMasks } from "./float64_gpt.ts";
import { gpt } from "./float64_gpt.ts";
import { activationMask, attentionMask } from "./masks.ts";
import {
  assertClose,
  openGraph,
  OPERANDS,
  randomIds,
  randomParameters,
  runGraph,
  withGpu,
} from "./support.ts";
import { COMBINED, VARIANTS } from "./variant_models.ts";

interface Case {
  model: Parameters<typeof modelConfig>[0];
  B: number;
  T: number;
  step?: { seed: number; index: number };
}

/** Runs one micro-batch of a model and compares all that it computes with the oracle. */
async function check(
  options: (typeof OPERANDS)[number]["options"],
  c: Case,
  masks?: DropoutMasks,
): Promise<void> {
  const config = modelConfig(c.model);
  const { n_embd: C, vocab_size: V, n_inner } = config;
  const { B, T } = c;
  const ids = randomIds(B * T, 1, V);
  const targets = randomIds(B * T, 2, V);
  if (B * T > 3) targets[3] = IGNORE_TARGET;
  const p = randomParameters(config);
  const graph = trainingGraph(config, { B, T, micro_batches: 1, ring: 3 });
  const { outputs, gradients } = await withGpu(options, (gpu) =>
    runGraph(gpu, graph, {
      parameters: p,
      inputs: { input_ids: ids, targets, token_index: tokenIndex(ids, V) },
      step: { slot: 2, ...c.step },
    }));
  const expected = gpt(config, { B, T }, p, ids, targets, masks);
  assertClose("loss", [outputs.losses![2]!], [expected.loss], 64);
  for (const { name } of parameters(config)) {
    // A rounding for each term of the longest sums on the way: the products with the widest layer, the vocabulary and the
    // rows of the batch.
    assertClose(name, gradients[name]!, expected.gradients[name]!, Math.max(4 * C, n_inner) + V + B * T);
  }
}

const options = (name: string) => OPERANDS.find((o) => o.name === name)!.options;

/** Odd numbers of heads, head sizes that are padded, widths that four does not divide, batches of a prime number of rows. */
const CASES: [string, Case][] = [
  ["buffers", { model: { n_layer: 1, n_head: 2, n_embd: 14, n_positions: 1, vocab_size: 3 }, B: 1, T: 1 }],
  ["textures, folded", {
    model: { n_layer: 1, n_head: 7, n_embd: 35, n_positions: 64, vocab_size: 131 },
    B: 1,
    T: 37,
  }],
  ["buffers, GPU kernels", {
    model: { n_layer: 2, n_head: 3, n_embd: 33, n_positions: 30, vocab_size: 131 },
    B: 3,
    T: 24,
  }],
  ["buffers in slices", {
    model: { n_layer: 1, n_head: 5, n_embd: 25, n_positions: 101, vocab_size: 67 },
    B: 1,
    T: 101,
  }],
];

for (const [name, c] of CASES) {
  const { n_head, n_embd, vocab_size } = c.model;
  const title =
    `n_head ${n_head}, n_embd ${n_embd}, vocab_size ${vocab_size}, ${c.B} × ${c.T} tokens, ${name}`;
  Deno.test(`a model's loss and gradients: ${title}`, () => check(options(name), c));
}

VARIANTS.forEach((c, i) => {
  const mode = OPERANDS[i % 2 === 0 ? 0 : 3]!; // textures, and buffers with a GPU's kernels
  Deno.test(`a variant's loss and gradients: ${c.name}, ${mode.name}`, () => check(mode.options, c));
});

for (const c of COMBINED) {
  for (const mode of [OPERANDS[0]!, OPERANDS[3]!]) { // the others differ in accessors, which the tests of ops try
    Deno.test(`variants together, loss and gradients: ${c.name}, ${mode.name}`, () => check(mode.options, c));
  }
}

Deno.test("the gradients of two micro-batches add up, of every parameter that variants have", () =>
  withGpu({}, async (gpu) => {
    const { model, B, T } = COMBINED[0]!;
    const config = modelConfig(model);
    const V = config.vocab_size;
    const p = randomParameters(config);
    const opened = openGraph(gpu, trainingGraph(config, { B, T, micro_batches: 2, ring: 3 }), p);
    const micro = [1, 3].map((stream) => ({
      ids: randomIds(B * T, stream, V),
      targets: randomIds(B * T, stream + 1, V),
    }));
    let gradients: Record<string, Float32Array> = {};
    for (const { ids, targets } of micro) {
      const inputs = { input_ids: ids, targets, token_index: tokenIndex(ids, V) };
      ({ gradients } = await opened.run({ inputs }));
    }
    opened.close();
    const each = micro.map(({ ids, targets }) => gpt(config, { B, T }, p, ids, targets).gradients);
    for (const { name } of parameters(config)) {
      const mean = each[0]![name]!.map((v, i) => (v + each[1]![name]![i]!) / 2);
      assertClose(name, gradients[name]!, mean, 4 * config.n_embd + V + 2 * B * T);
    }
  }));

Deno.test("a model with dropout in all its places, operands in textures, masks computed again on the host", async () => {
  const step = { seed: 1234567, index: 89 };
  const [embd_pdrop, resid_pdrop, attn_pdrop] = [0.1, 0.25, 0.4];
  const model = {
    n_layer: 2,
    n_head: 3,
    n_embd: 33,
    n_positions: 31,
    vocab_size: 67,
    embd_pdrop,
    resid_pdrop,
    attn_pdrop,
  };
  const [B, T, H] = [2, 24, 3];
  const masks: DropoutMasks = {
    activation: (site, row, col) =>
      activationMask(step, site, site === 0 ? embd_pdrop : resid_pdrop)(row, col),
    attention: (site) => attentionMask(step, site, attn_pdrop, { T, H }),
  };
  await check(options("textures"), { model, B, T, step }, masks);
});
