/**
 * The model as it decodes on adapters that have kernels for it: one token of each sequence a step, over weights that are
 * packed once before. The same mathematics as `gpt.ts`; what differs is that norms are computed by the layer behind them and
 * that keys and values go to the cache on the way out of c_attn. Adapters of low rank are not for it.
 */

import {
  add,
  cacheAppend,
  decodeAttention,
  decodeLanes,
  decodeLinear,
  type DecodeNorm,
  embedding,
  gelu,
  Graph,
  type PackedWeight,
  packedWeight,
  packWeight,
  type PlanTarget,
  reluSquared,
  swiglu,
  type Tensor,
  type WeightPrecision,
} from "../gpu/mod.ts";
import { cacheOf, prepareQkv, rotationOf, variantOf } from "./attention.ts";
import type { ModelConfig } from "./config.ts";
import { sampled } from "./gpt.ts";
import { parameterSpecs } from "./parameter_specs.ts";

/** How weights stand while decoding. */
export interface Packing {
  precision: WeightPrecision;
  lanes: number;
}

/** Whether a model can decode from packed weights on an adapter, and how. */
export function packingOf(
  c: ModelConfig,
  target: PlanTarget,
  precision: WeightPrecision,
): Packing | undefined {
  const lanes = decodeLanes(target);
  return lanes === undefined || c.lora !== undefined ? undefined : { precision, lanes };
}

/** Parameters whose rows are multiplied with activations, and the head's. */
function packedNames(c: ModelConfig): { name: string; transposed: boolean }[] {
  const hidden = parameterSpecs(c).filter(({ matrices }) => matrices !== undefined);
  return [
    ...hidden.map(({ name }) => ({ name, transposed: false })),
    { name: headName(c), transposed: true },
  ];
}

const headName = (c: ModelConfig) => c.tie_word_embeddings ? "wte.weight" : "lm_head.weight";

function parametersOf(graph: Graph, c: ModelConfig): Map<string, Tensor> {
  return new Map(parameterSpecs(c).map((s) => [s.name, graph.parameter(s.name, s.rows, s.cols)]));
}

/** Fills the packed weights, which `decodeGraph` has as states of the same names. */
export function packGraph(c: ModelConfig, packing: Packing): Graph {
  const graph = new Graph();
  const parameters = parametersOf(graph, c);
  for (const { name, transposed } of packedNames(c)) {
    packWeight(graph, parameters.get(name)!, { ...packing, transposed });
  }
  return graph;
}

/**
 * The next token of each of B sequences behind `step.position` tokens that stand in the KV cache.
 * Input: `input_ids` [B], which the tokens drawn are written to, and those of `sampled`. Output: `logits` [B, V], `tokens`.
 */
export function decodeGraph(c: ModelConfig, { B, packing }: { B: number; packing: Packing }): Graph {
  const graph = new Graph();
  const parameters = parametersOf(graph, c);
  const parameter = (name: string) => parameters.get(name);
  const packed = new Map<string, PackedWeight>();
  for (const { name, transposed } of packedNames(c)) {
    packed.set(name, packedWeight(graph, parameter(name)!, { ...packing, transposed }));
  }
  const normOf = (name: string): DecodeNorm => ({
    type: c.norm_type,
    gain: parameter(`${name}.weight`)!,
    offset: parameter(`${name}.bias`),
    epsilon: c.layer_norm_epsilon,
  });
  const project = (name: string, x: Tensor, options: Parameters<typeof decodeLinear>[3] = {}) =>
    decodeLinear(x, packed.get(`${name}.weight`)!, parameter(`${name}.bias`), options); // [B, K] -> [B, N]

  const rotation = rotationOf(graph, c, 1);
  const plain = rotation === undefined && !c.qk_norm; // keys go to the cache as c_attn makes them
  const tokens = graph.input("input_ids", B);
  let x = embedding(tokens, parameter("wte.weight")!, parameter("wpe.weight"), 1); // [B, C]
  for (let layer = 0; layer < c.n_layer; layer++) {
    x = graph.scope(`h.${layer}`, () => {
      const name = `h.${layer}`;
      const { keys, values } = cacheOf(graph, c, B, layer);
      const cache = { keys, values, T_max: c.n_positions };
      const options = { ...variantOf(c), B, N: 1, T_max: c.n_positions };
      const norm = normOf(`${name}.ln_1`);
      let qkv = project(`${name}.attn.c_attn`, x, plain ? { norm, cache } : { norm }); // [B, 3C]
      if (!plain) {
        qkv = prepareQkv(qkv, `${name}.attn`, c, parameter, rotation);
        cacheAppend(qkv, keys, values, options);
      }
      const y = decodeAttention(qkv, keys, values, { ...options, lanes: packing.lanes }); // [B, C]
      const middle = add(x, project(`${name}.attn.c_proj`, y));
      const inner = normOf(`${name}.ln_2`);
      const up = project(`${name}.mlp.c_fc`, middle, { norm: inner }); // [B, n_inner]
      const h = c.mlp_type === "gelu"
        ? gelu(up)
        : c.mlp_type === "relu_squared"
        ? reluSquared(up)
        : swiglu(project(`${name}.mlp.c_gate`, middle, { norm: inner }), up);
      return add(middle, project(`${name}.mlp.c_proj`, h));
    });
  }
  const logits = decodeLinear(x, packed.get(headName(c))!, undefined, { norm: normOf("ln_f") }); // [B, V]
  sampled(graph, logits, B, tokens);
  return graph;
}
