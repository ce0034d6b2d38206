/**
 * AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101; Kingma & Ba 2015), as PyTorch
 * computes it. The formula is at the head of `adamw.wgsl`.
 */

import adamwWgsl from "./adamw.wgsl" with { type: "text" };
import { decayOf, elementwise, type OptimizerOptions, type UpdateRule } from "./rule.ts";

/** The update. */
export const adamw: UpdateRule = (chunk, context) =>
  elementwise(chunk, context, {
    label: "adamw",
    planes: ["exp_avg", "exp_avg_sq"],
    constants: { ...adamConstants(context.options), DECAY: decayOf(chunk, context.options) },
    wgsl: adamwWgsl,
    flops: 16,
  });

/** The constants of Adam's running means. */
export function adamConstants({ beta1, beta2, epsilon }: OptimizerOptions): Record<string, number> {
  return { BETA1: beta1, BETA2: beta2, BETA1_REST: 1 - beta1, BETA2_REST: 1 - beta2, EPSILON: epsilon };
}
