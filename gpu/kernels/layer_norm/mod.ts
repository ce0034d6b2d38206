/** Layer normalisation over the columns of each row, with learned gain and offset (Ba, Kiros & Hinton 2016). */

import { axis, logicalLength, type Tensor } from "../../graph.ts";
import type { Lowering } from "../../lower.ts";
import type { Op } from "../../op.ts";
import { ROW_BUILTINS, rowLanes } from "../lanes.ts";
import backwardWgsl from "./backward.wgsl" with { type: "text" };
import forwardWgsl from "./forward.wgsl" with { type: "text" };
import parametersWgsl from "./parameters.wgsl" with { type: "text" };
import parametersSumWgsl from "./parameters_sum.wgsl" with { type: "text" };

const layerNormOp: Op = {
  name: "layer_norm",
  lower(node, lowering) {
    const [x, gamma, beta] = node.inputs as [Tensor, Tensor, Tensor];
    const [y, stats] = node.outputs as [Tensor, Tensor];
    const keep = lowering.isWanted(stats);
    const store = keep ? "if (lane == 0u) { store_stats(row, 0u, vec4f(mean, rstd, 0.0, 0.0)); }" : "";
    rowKernel(lowering, {
      node,
      label: "layer norm",
      wgsl: forwardWgsl.replace("KEEP_STATS", store),
      x,
      args: [
        { name: "gamma", tensor: gamma, access: "read" },
        { name: "beta", tensor: beta, access: "read" },
        { name: "y", tensor: y, access: "write" },
        ...(keep ? [{ name: "stats", tensor: stats, access: "write" as const }] : []),
      ],
      floats: { EPSILON: node.attrs.epsilon },
      flopsPerElement: 8,
    });
  },
  backward(node, [dy]) {
    const [x, gamma, beta] = node.inputs as [Tensor, Tensor, Tensor];
    const stats = node.outputs[1]!;
    const graph = x.graph;
    const dx = graph.node(inputGradientOp, [x, gamma, stats, dy!], {}, [{ rows: x.rows, cols: x.cols }])
      .outputs[0]!;
    const [dgamma, dbeta] = graph.node(parameterGradientOp, [x, stats, dy!], {}, [
      { rows: gamma.rows, cols: gamma.cols, name: "gamma" },
      { rows: beta.rows, cols: beta.cols, name: "beta" },
    ]).outputs as [Tensor, Tensor];
    return [dx, dgamma, dbeta];
  },
};

const inputGradientOp: Op = {
  name: "layer_norm_input",
  absorbs: true,
  lower(node, lowering) {
    const [x, gamma, stats, dy] = node.inputs as [Tensor, Tensor, Tensor, Tensor];
    const finish = lowering.finish();
    rowKernel(lowering, {
      node,
      label: "layer norm backward",
      wgsl: `${finish.text}\n${backwardWgsl}`,
      x,
      args: [
        { name: "gamma", tensor: gamma, access: "read" },
        { name: "stats", tensor: stats, access: "read" },
        { name: "dy", tensor: dy, access: "read" },
        ...finish.args,
      ],
      flopsPerElement: 12,
    });
  },
};

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
function rowKernel(
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

/** LayerNorm. `epsilon` is added to the variance, 1e-5 in GPT-2. */
export function layerNorm( // [M, C], [1, C], [1, C] -> [M, C]
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  epsilon: number,
): Tensor {
  return x.graph.node(layerNormOp, [x, gamma, beta], { epsilon }, [
    { rows: x.rows, cols: x.cols },
    { rows: x.rows, cols: axis(4), name: "stats" },
  ]).outputs[0]!;
}
