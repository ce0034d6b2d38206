/**
 * Causal self-attention from the fused projection qkv, without ever holding a T × T matrix (FlashAttention, Dao et al.
 * 2022 and 2023), its gradient, and the form with a KV cache for generation. The kernels' text is in `generate*.ts`.
 */

import { type Axis, axis, logicalLength, rowsOf, type Tensor } from "../../graph.ts";
import type { Op } from "../../op.ts";
import type { Arg, KernelSpec } from "../../lower.ts";
import { RANDOM_WGSL } from "../random.ts";
import { defaultCached, defaultTiles } from "./defaults.ts";
import {
  type AttentionKernel,
  backwardKeys,
  backwardQueries,
  cachedAppend,
  cachedAttention as cachedKernel,
  forward,
} from "./generate.ts";

/** What attention must know beside qkv. */
export interface AttentionOptions {
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

interface AttentionAttrs extends AttentionOptions {
  hd: number;
}

/** The axis of the heads' results side by side: a third of qkv's. */
function headsAxis(qkv: Tensor, n_head: number): Axis {
  return axis(qkv.cols.size, { groups: n_head, multiple: qkv.cols.multiple });
}

const read = (name: string, tensor: Tensor): Arg => ({ name, tensor, access: "read" });
const write = (name: string, tensor: Tensor): Arg => ({ name, tensor, access: "write" });

/** What a generated kernel becomes. */
function kernelSpec(kernel: AttentionKernel): Pick<KernelSpec, "body" | "workgroups" | "flops"> {
  const { x, y, z } = kernel.workgroups;
  const prelude = kernel.code.includes("random4(") ? RANDOM_WGSL : "";
  return { body: prelude + kernel.code, workgroups: [x, y, z], flops: kernel.flops };
}

const attentionOp: Op = {
  name: "attention",
  lower(node, lowering) {
    const [qkv] = node.inputs as [Tensor];
    const [y, stats] = node.outputs as [Tensor, Tensor];
    const { B, T, n_head: H, hd, dropout, site } = node.attrs as AttentionAttrs;
    const keep = lowering.isWanted(stats);
    const tiles = defaultTiles("forward", { B, T, H, hd }, lowering.profile);
    lowering.dispatch({
      node,
      label: "attention",
      args: [read("qkv", qkv), write("y", y), ...(keep ? [write("stats", stats)] : [])],
      ...kernelSpec(forward({ B, T, H, hd, dropout, site, ...tiles, stats: keep })),
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
    const { B, T, n_head: H, hd, dropout, site } = node.attrs as AttentionAttrs;
    const shape = { B, T, H, hd };
    const delta = lowering.scratch(node, "delta", B * H * T, 4);
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
      ...kernelSpec(
        backwardQueries({
          ...shape,
          dropout,
          site,
          ...defaultTiles("queries", shape, lowering.profile),
        }),
      ),
    });
    lowering.dispatch({
      node,
      label: "attention backward dK dV",
      args: [read("qkv", qkv), read("dy", dy), read("delta", delta), write("dqkv", dqkv)],
      ...kernelSpec(
        backwardKeys({
          ...shape,
          dropout,
          site,
          ...defaultTiles("keys", shape, lowering.profile),
        }),
      ),
    });
  },
};

/**
 * softmax(q·kᵀ / √(head size), causal)·v for every head.
 *
 * @param qkv the heads' queries, then keys, then values, side by side: [B * T, 3C], an axis of 3 × n_head groups
 */
export function attention(qkv: Tensor, options: AttentionOptions): Tensor { // [B * T, 3C] -> [B * T, C]
  const { B, T, n_head } = options;
  if (logicalLength(qkv.rows) !== B * T) throw new Error(`attention: ${B} × ${T} rows expected`);
  if (qkv.cols.groups !== 3 * n_head) {
    throw new Error("attention: qkv must have 3 × n_head groups of columns");
  }
  const attrs: AttentionAttrs = { ...options, hd: qkv.cols.size };
  return qkv.graph.node(attentionOp, [qkv], attrs, [
    { rows: qkv.rows, cols: headsAxis(qkv, n_head) },
    { rows: rowsOf(B * n_head * T), cols: axis(4), name: "stats" },
  ]).outputs[0]!;
}

/** What attention over a KV cache must know beside qkv and the caches. */
export interface CachedAttentionOptions {
  /** Sequences. */
  B: number;
  /** New tokens of each. */
  N: number;
  n_head: number;
  /** Tokens of each that the cache holds. */
  T_max: number;
}

const cachedAttentionOp: Op = {
  name: "cached_attention",
  lower(node, lowering) {
    const [qkv, keys, values] = node.inputs as [Tensor, Tensor, Tensor];
    const [y] = node.outputs as [Tensor];
    const { B, N, T_max, n_head: H, hd } = node.attrs as CachedAttentionOptions & { hd: number };
    const shape = { B, N, T_max, H, hd };
    lowering.dispatch({
      node,
      label: "KV cache append",
      args: [read("qkv", qkv), write("k_cache", keys), write("v_cache", values)],
      ...kernelSpec(cachedAppend({ ...shape, workgroup: 64 })),
    });
    lowering.dispatch({
      node,
      label: "attention over cache",
      args: [read("qkv", qkv), read("k_cache", keys), read("v_cache", values), write("y", y)],
      ...kernelSpec(cachedKernel(shape, defaultCached(shape, lowering.profile))),
    });
  },
};

/**
 * Attention of N new tokens a sequence, which stand at `step.position`, over all tokens up to themselves. Their keys and
 * values are appended to the caches first.
 *
 * @param qkv queries, keys and values of the new tokens: [B * N, 3C]
 * @param keys state, [B * T_max, C]
 * @param values state, [B * T_max, C]
 */
export function cachedAttention( // [B * N, 3C] -> [B * N, C]
  qkv: Tensor,
  keys: Tensor,
  values: Tensor,
  options: CachedAttentionOptions,
): Tensor {
  if (qkv.cols.groups !== 3 * options.n_head) {
    throw new Error("attention: qkv must have 3 × n_head groups of columns");
  }
  const attrs = { ...options, hd: qkv.cols.size };
  return qkv.graph.node(cachedAttentionOp, [qkv, keys, values], attrs, [
    { rows: qkv.rows, cols: headsAxis(qkv, options.n_head) },
  ]).outputs[0]!;
}
