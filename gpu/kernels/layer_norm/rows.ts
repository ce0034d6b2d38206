/**
 * What normalisations over the rows of a matrix share: kernels in which lanes walk along each row, and gradients, which read
 * (mean, 1 / deviation) of each row.
 */

import { logicalLength, rowsOf, type Tensor } from "../../graph.ts";
import type { Lowering } from "../../lower.ts";
import type { Op } from "../../op.ts";
import { ROW_BUILTINS, rowLanes } from "../lanes.ts";
import parametersWgsl from "./parameters.wgsl" with { type: "text" };
import parametersSumWgsl from "./parameters_sum.wgsl" with { type: "text" };

/** The op of the gradient of x, of the inputs x, gain, statistics and dy; its kernel hands results on. */
export function inputGradient(name: string, label: string, wgsl: string, flopsPerElement: number): Op {
  return {
    name,
    absorbs: true,
    lower(node, lowering) {
      const [x, gamma, stats, dy] = node.inputs as [Tensor, Tensor, Tensor, Tensor];
      const finish = lowering.finish();
      rowKernel(lowering, {
        node,
        label,
        wgsl: `${finish.text}\n${wgsl}`,
        x,
        args: [
          { name: "gamma", tensor: gamma, access: "read" },
          { name: "stats", tensor: stats, access: "read" },
          { name: "dy", tensor: dy, access: "read" },
          ...finish.args,
        ],
        flopsPerElement,
      });
    },
  };
}

/**
 * The gradients of gain and offset: column sums of dy·n and of dy, n = (x - mean) / deviation.
 *
 * @param stats [M] of (mean, 1 / deviation, 0, 0)
 */
export function parameterGradient(
  x: Tensor,
  stats: Tensor,
  dy: Tensor,
  gamma: Tensor,
): { dgamma: Tensor; dbeta: Tensor } { // [M, C], [M], [M, C] -> [1, C], [1, C]
  const [dgamma, dbeta] = x.graph.node(parameterGradientOp, [x, stats, dy], {}, [
    { rows: gamma.rows, cols: gamma.cols, name: "gamma" },
    { rows: rowsOf(1), cols: gamma.cols, name: "beta" },
  ]).outputs as [Tensor, Tensor];
  return { dgamma, dbeta };
}

const parameterGradientOp: Op = {
  name: "layer_norm_parameters",
  lower(node, lowering) {
    const [x, stats, dy] = node.inputs as [Tensor, Tensor, Tensor];
    const [dgamma, dbeta] = node.outputs as [Tensor, Tensor];
    const rows = logicalLength(x.rows);
    const cols = lowering.cols4(x);
    const slices = Math.min(rows, Math.max(1, Math.ceil(256 / Math.ceil(cols / 16))), 64);
    const partial = lowering.scratch(node, "partial", 2 * slices, 4 * cols);
    const constants = { COLS: cols, ROWS: rows, SLICES: slices, SLICE_ROWS: Math.ceil(rows / slices) };
    lowering.dispatch({
      node,
      label: "layer norm parameters",
      args: [
        { name: "x", tensor: x, access: "read" },
        { name: "stats", tensor: stats, access: "read" },
        { name: "dy", tensor: dy, access: "read" },
        { name: "partial", tensor: partial, access: "write" },
      ],
      constants,
      body: parametersWgsl,
      workgroups: [Math.ceil(cols / 16), slices, 1],
      flops: rows * cols * 20,
    });
    lowering.dispatch({
      node,
      label: "layer norm parameters sum",
      args: [
        { name: "partial", tensor: partial, access: "read" },
        { name: "dgamma", tensor: dgamma, access: "write" },
        { name: "dbeta", tensor: dbeta, access: "write" },
      ],
      constants: { COLS: cols, SLICES: slices },
      body: parametersSumWgsl,
      workgroups: [Math.ceil(cols / 16), 1, 1],
      flops: slices * cols * 8,
    });
  },
};

/** Records a kernel in which one or several lanes walk along each row of x. */
export function rowKernel(
  lowering: Lowering,
  k: {
    node: Parameters<Lowering["dispatch"]>[0]["node"];
    label: string;
    wgsl: string;
    x: Tensor;
    args: Parameters<Lowering["dispatch"]>[0]["args"];
    floats?: Record<string, number>;
    flopsPerElement: number;
  },
): void {
  const rows = logicalLength(k.x.rows);
  const lanes = rowLanes(lowering.profile, rows);
  const body = k.wgsl.replace("WORKGROUP", String(lanes.workgroupSize)).replace("BUILTINS", ROW_BUILTINS)
    .replace("PLACE", lanes.place);
  lowering.dispatch({
    node: k.node,
    label: k.label,
    args: [{ name: "x", tensor: k.x, access: "read" }, ...k.args],
    constants: { C: logicalLength(k.x.cols), COLS: lowering.cols4(k.x) },
    floats: k.floats ?? {},
    body: `${lanes.declarations}${body}`,
    workgroups: lanes.workgroups,
    flops: rows * logicalLength(k.x.cols) * k.flopsPerElement,
  });
}
