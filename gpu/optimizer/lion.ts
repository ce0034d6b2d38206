/**
 * Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", arXiv:2302.06675, algorithm 2): every weight moves
 * by the learning rate, in the direction of the sign of a mean of gradients. One plane of state. The formula is at the
 * head of `lion.wgsl`.
 */

import lionWgsl from "./lion.wgsl" with { type: "text" };
import { decayOf, elementwise, type UpdateRule } from "./rule.ts";

/** The update. */
export const lion: UpdateRule = (chunk, context) => {
  const { beta1, beta2 } = context.options;
  return elementwise(chunk, context, {
    label: "lion",
    planes: ["exp_avg"],
    constants: {
      BETA1: beta1,
      BETA2: beta2,
      BETA1_REST: 1 - beta1,
      BETA2_REST: 1 - beta2,
      DECAY: decayOf(chunk, context.options),
    },
    wgsl: lionWgsl,
    flops: 10,
  });
};
