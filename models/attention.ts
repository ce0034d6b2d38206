/** How queries meet keys: what is done to them before, and the kinds of attention, over a batch and over a KV cache. */
import {
  attention,
  type AttentionVariant,
  type Axis,
  axis,
  cachedAttention,
  type Graph,
  headNorm,
  rotary,
  rotaryTable,
  rowsOf,
  standardAttention,
  type Tensor,
} from "../gpu/mod.ts";
import type { ParameterOf } from "./block.ts";
import type { ModelConfig } from "./config.ts";
import { SITES } from "./sites.ts";

/** How one block attends: over the sequence itself, or over a KV cache. */
export type Attend = (qkv: Tensor, layer: number) => Tensor;

/** Sizes of a batch. */
export interface BatchSize {
  /** Sequences. */
  B: number;
  /** Tokens of each. */
  T: number;
}

/** Rotary positions: the table of angles, and how long the sequences are. */
export interface Rotation {
  table: Tensor;
  T: number;
}

/** Rotary positions for sequences of T tokens; undefined where the model has others. */
export function rotationOf(graph: Graph, c: ModelConfig, T: number): Rotation | undefined {
  if (c.position_type !== "rotary") return undefined;
  return { table: rotaryTable(graph, c.n_positions, c.n_embd / c.n_head, c.rope_theta!), T };
}

/** Normalises and turns queries and keys, where the model does. */
export function prepareQkv( // [B * T, …] -> [B * T, …]
  qkv: Tensor,
  name: string,
  c: ModelConfig,
  parameter: ParameterOf,
  rotation: Rotation | undefined,
): Tensor {
  const { n_head, n_kv_head, layer_norm_epsilon: epsilon } = c;
  if (c.qk_norm) {
    const [q, k] = [parameter(`${name}.q_norm.weight`)!, parameter(`${name}.k_norm.weight`)!];
    qkv = headNorm(qkv, q, k, { n_head, n_kv_head, epsilon });
  }
  if (rotation === undefined) return qkv;
  return rotary(qkv, rotation.table, { T: rotation.T, heads: n_head + n_kv_head });
}

/** The model's attention in the engine's words. */
export function variantOf(c: ModelConfig): AttentionVariant & { n_head: number } {
  return {
    n_head: c.n_head,
    n_kv_head: c.n_kv_head,
    alibi: c.position_type === "alibi",
    sparse: c.attention_type === "sparse" ? { window: c.window!, stride: c.sparsity_factor! } : undefined,
  };
}

/** Causal attention within each sequence of the batch. */
export function attendBatch(c: ModelConfig, size: BatchSize, attn_pdrop: number): Attend {
  return (qkv, layer) => {
    const options = optionsOf(c, size, layer, attn_pdrop);
    return c.attention_type === "standard" ? standardAttention(qkv, options).y : attention(qkv, options);
  };
}

/** Every weight of attention of a layer, before dropout, whatever the model's kind of attention: [B * n_head * T, T]. */
export function weightsOf(qkv: Tensor, layer: number, c: ModelConfig, size: BatchSize): Tensor {
  return standardAttention(qkv, optionsOf(c, size, layer, 0)).weights;
}

function optionsOf(c: ModelConfig, { B, T }: BatchSize, layer: number, dropout: number) {
  return { ...variantOf(c), B, T, dropout, site: layer * SITES.count + SITES.attention };
}

/** Attention of N new tokens of each sequence over all that stand in the KV cache, and themselves. */
export function attendCached(
  graph: Graph,
  c: ModelConfig,
  { B, N, copies = B }: { B: number; N: number; copies?: number | undefined },
): Attend {
  return (qkv, layer) => {
    const { keys, values } = cacheOf(graph, c, copies, layer);
    return cachedAttention(qkv, keys, values, { ...variantOf(c), B, N, T_max: c.n_positions, copies });
  };
}

/** The KV cache of a layer, for B sequences. */
export function cacheOf(
  graph: Graph,
  c: ModelConfig,
  B: number,
  layer: number,
): { keys: Tensor; values: Tensor } {
  const rows = rowsOf(B * c.n_positions);
  const heads = keyAxis(c);
  return {
    keys: graph.state(`h.${layer}.keys`, rows, heads), //     [B * n_positions, C]
    values: graph.state(`h.${layer}.values`, rows, heads), // [B * n_positions, C]
  };
}

/** The axis of the heads of keys or of values, padded one by one. */
function keyAxis({ n_embd, n_head, n_kv_head }: ModelConfig): Axis {
  return axis(n_embd / n_head, { groups: n_kv_head });
}
