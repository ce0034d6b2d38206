/**
 * Causal self-attention from the fused projection qkv, without ever holding a T × T matrix (FlashAttention, Dao et al.
 * 2022 and 2023), its gradient, and the form with a KV cache for generation. The kernels' text is in `generate*.ts`; in what
 * attention may differ from GPT-2's, `pattern.ts`; the form that does hold the matrix, `standard.ts`.
 */

import { type Axis, axis, logicalLength, type Node, rowsOf, type Tensor } from "../../graph.ts";
import type { Op } from "../../op.ts";
import type { Arg, KernelSpec, Lowering } from "../../lower.ts";
import { RANDOM_WGSL } from "../random.ts";
import type { AttentionSite, Chosen } from "../../tuning/choices.ts";
import { type AttentionKind, defaultCached, defaultTiles } from "./defaults.ts";
import {
  type AttentionDropout,
  type AttentionKernel,
  type AttentionShape,
  backwardKeys,
  backwardQueries,
  cachedAppend,
  cachedAttention as cachedKernel,
  type CachedShape,
  forward,
} from "./generate.ts";
import type { AttentionPattern } from "./pattern.ts";
import { standardOutputs } from "./standard.ts";

export type { AttentionPattern, Sparsity } from "./pattern.ts";

/** In what attention differs from GPT-2's. */
export interface AttentionVariant {
  /** Heads of keys and values, which n_head must be a multiple of. @default n_head */
  n_kv_head?: number | undefined;
  /** Whether scores fall with distance. @default false */
  alibi?: AttentionPattern["alibi"];
  /** Which earlier tokens are seen. @default all */
  sparse?: AttentionPattern["sparse"];
}

/** What attention must know beside qkv. */
export interface AttentionOptions extends AttentionVariant {
  /** Sequences. */
  B: number;
  /** Tokens of each. */
  T: number;
  n_head: number;
  /** Probability of dropping an attention weight. */
  dropout: number;
  /** Number of the place in the model, for the dropout's random numbers. */
  site: number;
}

/** The sizes and the variant as the generators name them. Throws Error when qkv does not fit. */
function attentionShape(
  qkv: Tensor,
  options: AttentionVariant & { n_head: number },
): AttentionPattern & { H: number; hd: number } {
  const { n_head: H, n_kv_head: H_kv = H, alibi, sparse } = options;
  if (H % H_kv !== 0) throw new Error(`attention: n_head ${H} is not a multiple of n_kv_head ${H_kv}`);
  if (qkv.cols.groups !== H + 2 * H_kv) {
    throw new Error(
      H_kv === H
        ? "attention: qkv must have 3 × n_head groups of columns"
        : "attention: qkv must have n_head + 2 × n_kv_head groups of columns",
    );
  }
  return { H, hd: qkv.cols.size, H_kv, alibi, sparse };
}

/** The axis of the heads' results side by side. */
function headsAxis(qkv: Tensor, n_head: number): Axis {
  return axis(qkv.cols.size, { groups: n_head, multiple: qkv.cols.multiple });
}

type AttentionAttrs = AttentionShape & AttentionDropout;

const read = (name: string, tensor: Tensor): Arg => ({ name, tensor, access: "read" });
const write = (name: string, tensor: Tensor): Arg => ({ name, tensor, access: "write" });

/** What a generated kernel becomes. */
function kernelSpec(kernel: AttentionKernel): Pick<KernelSpec, "body" | "workgroups" | "flops"> {
  const { x, y, z } = kernel.workgroups;
  const prelude = kernel.code.includes("random4(") ? RANDOM_WGSL : "";
  return { body: prelude + kernel.code, workgroups: [x, y, z], flops: kernel.flops };
}

/** The tiles of one kernel: what was chosen for its shape, or the default. */
function chooseTiles(
  lowering: Lowering,
  kind: AttentionKind,
  attrs: AttentionAttrs,
  qkv: Tensor,
): Chosen<AttentionSite> {
  const { B, T, H, hd, H_kv, alibi, sparse, dropout } = attrs;
  const shape = { B, T, H, hd, H_kv, alibi, sparse };
  return lowering.choose(
    { op: "attention", kind, shape, dropout, half: lowering.isHalf(qkv) },
    () => defaultTiles(kind, shape, lowering.profile),
  );
}

const attentionOp: Op = {
  name: "attention",
  lower(node, lowering) {
    const [qkv] = node.inputs as [Tensor];
    const [y, stats] = node.outputs as [Tensor, Tensor];
    const attrs = node.attrs as AttentionAttrs;
    const keep = lowering.isWanted(stats);
    const chosen = chooseTiles(lowering, "forward", attrs, qkv);
    lowering.dispatch({
      node,
      label: "attention",
      args: [read("qkv", qkv), write("y", y), ...(keep ? [write("stats", stats)] : [])],
      ...kernelSpec(forward({ ...attrs, ...chosen.choice, stats: keep })),
      chosen,
    });
  },
  backward(node, [dy]) {
    const [qkv] = node.inputs as [Tensor];
    const [y, stats] = node.outputs as [Tensor, Tensor];
    const inputs = [qkv, y, dy!, stats];
    return qkv.graph.node(attentionBackwardOp, inputs, node.attrs, [{ rows: qkv.rows, cols: qkv.cols }])
      .outputs;
  },
};

const attentionBackwardOp: Op = {
  name: "attention_backward",
  lower(node, lowering) {
    const [qkv, y, dy, stats] = node.inputs as [Tensor, Tensor, Tensor, Tensor];
    const [dqkv] = node.outputs as [Tensor];
    const attrs = node.attrs as AttentionAttrs;
    const { B, T, H } = attrs;
    const delta = lowering.scratch(node, "delta", B * H * T, 4);
    const queries = chooseTiles(lowering, "queries", attrs, qkv);
    const keys = chooseTiles(lowering, "keys", attrs, qkv);
    lowering.dispatch({
      node,
      label: "attention backward dQ",
      args: [
        read("qkv", qkv),
        read("y", y),
        read("dy", dy),
        read("stats", stats),
        write("delta", delta),
        write("dqkv", dqkv),
      ],
      ...kernelSpec(backwardQueries({ ...attrs, ...queries.choice })),
      chosen: queries,
    });
    lowering.dispatch({
      node,
      label: "attention backward dK dV",
      args: [read("qkv", qkv), read("dy", dy), read("delta", delta), write("dqkv", dqkv)],
      ...kernelSpec(backwardKeys({ ...attrs, ...keys.choice })),
      chosen: keys,
    });
  },
};

/** What a node of attention carries. */
function attentionAttrs(qkv: Tensor, options: AttentionOptions): AttentionAttrs {
  const { B, T, dropout, site } = options;
  if (logicalLength(qkv.rows) !== B * T) throw new Error(`attention: ${B} × ${T} rows expected`);
  return { B, T, dropout, site, ...attentionShape(qkv, options) };
}

/**
 * softmax(q·kᵀ / √(head size), causal)·v for every head.
 *
 * @param qkv the heads' queries, then keys, then values, side by side: [B * T, 3C], an axis of 3 × n_head groups, or with fewer
 *   heads of keys and values of n_head + 2 × n_kv_head
 */
export function attention(qkv: Tensor, options: AttentionOptions): Tensor { // [B * T, 3C] -> [B * T, C]
  const { B, T, n_head } = options;
  const attrs = attentionAttrs(qkv, options);
  return qkv.graph.node(attentionOp, [qkv], attrs, [
    { rows: qkv.rows, cols: headsAxis(qkv, n_head) },
    { rows: rowsOf(B * n_head * T), cols: axis(4), name: "stats", exact: true },
  ]).outputs[0]!;
}

/**
 * The same with every weight in memory, forward and backward, and the weights (before dropout) to look at: row
 * (b · n_head + h) · T + i holds those of query i on all keys.
 */
export function standardAttention( // [B * T, 3C] -> [B * T, C], [B * n_head * T, T]
  qkv: Tensor,
  options: AttentionOptions,
): { y: Tensor; weights: Tensor } {
  return standardOutputs(qkv, attentionAttrs(qkv, options));
}

/** What attention over a KV cache must know beside qkv and the caches. */
export interface CachedAttentionOptions extends AttentionVariant {
  /** Sequences. */
  B: number;
  /** New tokens of each. */
  N: number;
  n_head: number;
  /** Tokens of each that the cache holds. */
  T_max: number;
  /** Sequences that the cache holds, all of which get the tokens of the only one (B is 1). @default B */
  copies?: number | undefined;
}

const cachedAttentionOp: Op = {
  name: "cached_attention",
  lower(node, lowering) {
    const shape = node.attrs as CachedShape;
    dispatchAppend(lowering, node, shape);
    dispatchCached(lowering, node, shape);
  },
};

const cacheAppendOp: Op = {
  name: "cache_append",
  lower(node, lowering) {
    dispatchAppend(lowering, node, node.attrs.shape);
  },
};

/** Writes keys and values of new tokens to the caches, without attending; see `cachedAttention`. */
export function cacheAppend(
  qkv: Tensor,
  keys: Tensor,
  values: Tensor,
  options: CachedAttentionOptions,
): void {
  const attrs = { shape: cachedShape(qkv, options), effect: true };
  qkv.graph.node(cacheAppendOp, [qkv, keys, values], attrs, []);
}

function dispatchAppend(lowering: Lowering, node: Node, shape: CachedShape): void {
  const [qkv, keys, values] = node.inputs as [Tensor, Tensor, Tensor];
  lowering.dispatch({
    node,
    label: "KV cache append",
    args: [read("qkv", qkv), write("k_cache", keys), write("v_cache", values)],
    ...kernelSpec(cachedAppend({ ...shape, workgroup: 64 })),
  });
}

/** Records the general kernel of attention over caches that hold the new tokens already. */
export function dispatchCached(lowering: Lowering, node: Node, shape: CachedShape): void {
  const [qkv, keys, values] = node.inputs as [Tensor, Tensor, Tensor];
  const chosen = lowering.choose(
    { op: "cached attention", shape, half: lowering.isHalf(qkv) },
    () => defaultCached(shape, lowering.profile),
  );
  lowering.dispatch({
    node,
    label: "attention over cache",
    args: [
      read("qkv", qkv),
      read("k_cache", keys),
      read("v_cache", values),
      write("y", node.outputs[0]!),
    ],
    ...kernelSpec(cachedKernel(shape, chosen.choice)),
    chosen,
  });
}

/** The sizes and the variant as the generators of cached attention name them. */
export function cachedShape(qkv: Tensor, options: CachedAttentionOptions): CachedShape {
  const { B, N, T_max, copies } = options;
  return { B, N, T_max, copies, ...attentionShape(qkv, options) };
}

/**
 * Attention of N new tokens a sequence, which stand at `step.position`, over all tokens up to themselves. Their keys and
 * values are appended to the caches first.
 *
 * @param qkv queries, keys and values of the new tokens: [B * N, 3C], as in `attention`
 * @param keys state, [B * T_max, C], or of n_kv_head heads
 * @param values state, [B * T_max, C], or of n_kv_head heads
 */
export function cachedAttention( // [B * N, 3C] -> [B * N, C]
  qkv: Tensor,
  keys: Tensor,
  values: Tensor,
  options: CachedAttentionOptions,
): Tensor {
  return qkv.graph.node(cachedAttentionOp, [qkv, keys, values], cachedShape(qkv, options), [
    { rows: qkv.rows, cols: headsAxis(qkv, options.n_head) },
  ]).outputs[0]!;
}
