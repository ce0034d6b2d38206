/** Layer normalisation over the columns of each row, with learned gain and offset (Ba, Kiros & Hinton 2016). */

import { axis, type Tensor } from "../../graph.ts";
import type { Op } from "../../op.ts";
import backwardWgsl from "./backward.wgsl" with { type: "text" };
import forwardWgsl from "./forward.wgsl" with { type: "text" };
import { inputGradient, parameterGradient, rowKernel } from "./rows.ts";

const layerNormOp: Op = {
  name: "layer_norm",
  lower(node, lowering) {
    const [x, gamma, beta] = node.inputs as [Tensor, Tensor, Tensor | undefined];
    const [y, stats] = node.outputs as [Tensor, Tensor];
    const keep = lowering.isWanted(stats);
    const store = keep ? "if (lane == 0u) { store_stats(row, 0u, vec4f(mean, rstd, 0.0, 0.0)); }" : "";
    rowKernel(lowering, {
      node,
      label: "layer norm",
      wgsl: forwardWgsl.replace("KEEP_STATS", store)
        .replace("PLUS_BETA", beta === undefined ? "" : " + load_beta(0u, col)"),
      x,
      args: [
        { name: "gamma", tensor: gamma, access: "read" },
        ...(beta === undefined ? [] : [{ name: "beta", tensor: beta, access: "read" as const }]),
        { name: "y", tensor: y, access: "write" },
        ...(keep ? [{ name: "stats", tensor: stats, access: "write" as const }] : []),
      ],
      floats: { EPSILON: node.attrs.epsilon },
      flopsPerElement: 8,
    });
  },
  backward(node, [dy]) {
    const [x, gamma, beta] = node.inputs as [Tensor, Tensor, Tensor | undefined];
    const stats = node.outputs[1]!;
    const dx = x.graph.node(inputGradientOp, [x, gamma, stats, dy!], {}, [{ rows: x.rows, cols: x.cols }])
      .outputs[0]!;
    const { dgamma, dbeta } = parameterGradient(x, stats, dy!, gamma);
    return beta === undefined ? [dx, dgamma] : [dx, dgamma, dbeta];
  },
};

const inputGradientOp = inputGradient("layer_norm_input", "layer norm backward", backwardWgsl, 12);

/** LayerNorm. `epsilon` is added to the variance, 1e-5 in GPT-2; without `beta` nothing is added after the gain. */
export function layerNorm( // [M, C], [1, C], [1, C] -> [M, C]
  x: Tensor,
  gamma: Tensor,
  beta: Tensor | undefined,
  epsilon: number,
): Tensor {
  const inputs = beta === undefined ? [x, gamma] : [x, gamma, beta];
  return x.graph.node(layerNormOp, inputs, { epsilon }, [
    { rows: x.rows, cols: x.cols },
    { rows: x.rows, cols: axis(4), name: "stats", exact: true },
  ]).outputs[0]!;
}
