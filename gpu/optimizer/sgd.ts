/**
 * Stochastic gradient descent with momentum (Polyak 1964; in the form of Sutskever et al. 2013 that PyTorch takes, without
 * Nesterov's step) and decoupled weight decay (SGDW of Loshchilov & Hutter 2019). One plane of state. The formula is at
 * the head of `sgd.wgsl`.
 */

import { decayOf, elementwise, type UpdateRule } from "./rule.ts";
import sgdWgsl from "./sgd.wgsl" with { type: "text" };

/** The update. */
export const sgd: UpdateRule = (chunk, context) =>
  elementwise(chunk, context, {
    label: "sgd",
    planes: ["momentum_buffer"],
    constants: { MOMENTUM: context.options.momentum, DECAY: decayOf(chunk, context.options) },
    wgsl: sgdWgsl,
    flops: 7,
  });
