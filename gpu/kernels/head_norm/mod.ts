/**
 * QK-norm: RMS normalisation of every head of queries and of keys, with one learned gain for all heads of queries and one for
 * those of keys, before scores are made of them (Dehghani et al. 2023, "Scaling Vision Transformers to 22 Billion
 * Parameters", there with LayerNorm).
 */

import { axis, logicalLength, physicalLength, type Tensor } from "../../graph.ts";
import type { Lowering } from "../../lower.ts";
import type { Op } from "../../op.ts";
import { matrixGrid, matrixPlace } from "../grid.ts";
import backwardWgsl from "./backward.wgsl" with { type: "text" };
import forwardWgsl from "./forward.wgsl" with { type: "text" };
import parametersWgsl from "./parameters.wgsl" with { type: "text" };
import parametersSumWgsl from "./parameters_sum.wgsl" with { type: "text" };

/** Which heads are normalised. */
export interface HeadNormOptions {
  /** Heads of queries, which stand first, and of keys, which follow. */
  n_head: number;
  n_kv_head: number;
  /** Added to the mean square. */
  epsilon: number;
}

/** Numbers that all kernels of a node share: sizes of heads, and how many there are. */
function constantsOf(qkv: Tensor, { n_head, n_kv_head }: HeadNormOptions): Record<string, number> {
  const { groups, size } = qkv.cols;
  return { HD: size, D: physicalLength(qkv.cols) / 4 / groups, H: n_head, NORMED: n_head + n_kv_head };
}

const headNormOp: Op = {
  name: "head_norm",
  absorbs: true,
  lower(node, lowering) {
    const [qkv, qGain, kGain] = node.inputs as [Tensor, Tensor, Tensor];
    const stats = node.outputs[1]!;
    const keep = lowering.isWanted(stats);
    headKernel(lowering, {
      node,
      label: "head norm",
      wgsl: forwardWgsl.replace(
        "KEEP_STATS",
        keep ? "store_stats(row, col, vec4f(rstd, 0.0, 0.0, 0.0));" : "",
      ),
      args: [
        { name: "x", tensor: qkv, access: "read" },
        { name: "q_gain", tensor: qGain, access: "read" },
        { name: "k_gain", tensor: kGain, access: "read" },
        ...(keep ? [{ name: "stats", tensor: stats, access: "write" as const }] : []),
      ],
      floats: { EPSILON: node.attrs.epsilon },
      flopsPerElement: 4,
    });
  },
  backward(node, [dy]) {
    const [qkv, qGain, kGain] = node.inputs as [Tensor, Tensor, Tensor];
    const [, stats] = node.outputs as [Tensor, Tensor];
    const { graph } = qkv;
    const inputs = [qkv, qGain, kGain, stats, dy!];
    const dx = graph.node(inputGradientOp, inputs, node.attrs, [{ rows: qkv.rows, cols: qkv.cols }])
      .outputs[0]!;
    const [dq, dk] = graph.node(gainGradientOp, [qkv, stats, dy!], node.attrs, [
      { rows: qGain.rows, cols: qGain.cols, name: "q_gain" },
      { rows: kGain.rows, cols: kGain.cols, name: "k_gain" },
    ]).outputs as [Tensor, Tensor];
    return [dx, dq, dk];
  },
};

const inputGradientOp: Op = {
  name: "head_norm_input",
  absorbs: true,
  lower(node, lowering) {
    const [qkv, qGain, kGain, stats, dy] = node.inputs as [Tensor, Tensor, Tensor, Tensor, Tensor];
    headKernel(lowering, {
      node,
      label: "head norm backward",
      wgsl: backwardWgsl,
      args: [
        { name: "x", tensor: qkv, access: "read" },
        { name: "q_gain", tensor: qGain, access: "read" },
        { name: "k_gain", tensor: kGain, access: "read" },
        { name: "stats", tensor: stats, access: "read" },
        { name: "dy", tensor: dy, access: "read" },
      ],
      flopsPerElement: 8,
    });
  },
};

/** Records a kernel in which one invocation walks along each head and hands its results to `finish`. */
function headKernel(
  lowering: Lowering,
  k: {
    node: Parameters<Lowering["dispatch"]>[0]["node"];
    label: string;
    wgsl: string;
    args: Parameters<Lowering["dispatch"]>[0]["args"];
    floats?: Record<string, number>;
    flopsPerElement: number;
  },
): void {
  const qkv = k.node.inputs[0]!;
  const rows = logicalLength(qkv.rows);
  const heads = qkv.cols.groups;
  const finish = lowering.finish();
  lowering.dispatch({
    node: k.node,
    label: k.label,
    args: [...k.args, ...finish.args],
    constants: constantsOf(qkv, k.node.attrs),
    floats: k.floats ?? {},
    body: finish.text + k.wgsl.replace("PLACE", matrixPlace(rows, heads)),
    workgroups: matrixGrid(rows, heads, 16),
    flops: rows * logicalLength(qkv.cols) * k.flopsPerElement,
  });
}

const gainGradientOp: Op = {
  name: "head_norm_gains",
  lower(node, lowering) {
    const [qkv, stats, dy] = node.inputs as [Tensor, Tensor, Tensor];
    const [dq, dk] = node.outputs as [Tensor, Tensor];
    const rows = logicalLength(qkv.rows);
    const constants = constantsOf(qkv, node.attrs);
    const D = constants.D!;
    const slices = Math.min(rows, 64);
    const partial = lowering.scratch(node, "partial", slices, 8 * D);
    lowering.dispatch({
      node,
      label: "head norm gains",
      args: [
        { name: "x", tensor: qkv, access: "read" },
        { name: "stats", tensor: stats, access: "read" },
        { name: "dy", tensor: dy, access: "read" },
        { name: "partial", tensor: partial, access: "write" },
      ],
      constants: { ...constants, ROWS: rows, SLICE_ROWS: Math.ceil(rows / slices) },
      body: parametersWgsl,
      workgroups: [Math.ceil(2 * D / 16), slices, 1],
      flops: rows * constants.NORMED! * D * 12,
    });
    lowering.dispatch({
      node,
      label: "head norm gains sum",
      args: [
        { name: "partial", tensor: partial, access: "read" },
        { name: "dq_gain", tensor: dq, access: "write" },
        { name: "dk_gain", tensor: dk, access: "write" },
      ],
      constants: { D, SLICES: slices },
      body: parametersSumWgsl,
      workgroups: [Math.ceil(D / 16), 1, 1],
      flops: slices * D * 8,
    });
  },
};

/**
 * Normalises the heads of queries and keys.
 *
 * @param qkv queries, keys and values of all heads, side by side
 * @param qGain gain of every head of queries: [1, head size]
 * @param kGain gain of every head of keys: [1, head size]
 */
export function headNorm( // [M, …], [1, hd], [1, hd] -> [M, …]
  qkv: Tensor,
  qGain: Tensor,
  kGain: Tensor,
  options: HeadNormOptions,
): Tensor {
  return qkv.graph.node(headNormOp, [qkv, qGain, kGain], options, [
    { rows: qkv.rows, cols: qkv.cols },
    { rows: qkv.rows, cols: axis(4, { groups: qkv.cols.groups }), name: "stats", exact: true },
  ]).outputs[0]!;
}
