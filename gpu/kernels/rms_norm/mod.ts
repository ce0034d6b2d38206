/**
 * Root-mean-square normalisation over the columns of each row, with a learned gain (Zhang & Sennrich 2019). The gain's
 * gradient is LayerNorm's with a mean of 0.
 */

import { axis, type Tensor } from "../../graph.ts";
import type { Op } from "../../op.ts";
import { inputGradient, parameterGradient, rowKernel } from "../layer_norm/rows.ts";
import backwardWgsl from "./backward.wgsl" with { type: "text" };
import forwardWgsl from "./forward.wgsl" with { type: "text" };

const rmsNormOp: Op = {
  name: "rms_norm",
  lower(node, lowering) {
    const [x, gamma] = node.inputs as [Tensor, Tensor];
    const [y, stats] = node.outputs as [Tensor, Tensor];
    const keep = lowering.isWanted(stats);
    const store = keep ? "if (lane == 0u) { store_stats(row, 0u, vec4f(0.0, rstd, 0.0, 0.0)); }" : "";
    rowKernel(lowering, {
      node,
      label: "rms norm",
      wgsl: forwardWgsl.replace("KEEP_STATS", store),
      x,
      args: [
        { name: "gamma", tensor: gamma, access: "read" },
        { name: "y", tensor: y, access: "write" },
        ...(keep ? [{ name: "stats", tensor: stats, access: "write" as const }] : []),
      ],
      floats: { EPSILON: node.attrs.epsilon },
      flopsPerElement: 4,
    });
  },
  backward(node, [dy]) {
    const [x, gamma] = node.inputs as [Tensor, Tensor];
    const stats = node.outputs[1]!;
    const dx = x.graph.node(inputGradientOp, [x, gamma, stats, dy!], {}, [{ rows: x.rows, cols: x.cols }])
      .outputs[0]!;
    return [dx, parameterGradient(x, stats, dy!, gamma).dgamma];
  },
};

const inputGradientOp = inputGradient("rms_norm_input", "rms norm backward", backwardWgsl, 8);

/** RMSNorm. `epsilon` is added to the mean square. */
export function rmsNorm(x: Tensor, gamma: Tensor, epsilon: number): Tensor { // [M, C], [1, C] -> [M, C]
  return x.graph.node(rmsNormOp, [x, gamma], { epsilon }, [
    { rows: x.rows, cols: x.cols },
    { rows: x.rows, cols: axis(4), name: "stats", exact: true },
  ]).outputs[0]!;
}
