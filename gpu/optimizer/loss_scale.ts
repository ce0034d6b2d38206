/**
 * Dynamic loss scale. Gradients of activations are small: in half precision, which ends at 6e-8, many would be 0. So the loss's
 * gradient is multiplied by a scale before the backward pass, and parameters' gradients, which are float32, are divided
 * by it in the update (Micikevicius et al. 2018, "Mixed Precision Training", arXiv:1710.03740, section 3.2). Where a
 * gradient is not finite the scale was too large: the step is skipped and the scale halved; after many good steps it is
 * doubled. All of it happens on the device; nothing is read back for it.
 *
 * The numbers are those of PyTorch's `torch.amp.GradScaler`.
 */

import { floatLiteral } from "../lower.ts";
import lossScaleWgsl from "./loss_scale.wgsl" with { type: "text" };

/** The scale that training begins with. */
export const FIRST_LOSS_SCALE = 65536;

/** Steps without a skipped one after which the scale is doubled. */
const GROWTH_INTERVAL = 2000;

/** Where the loss scale stands: what a checkpoint must hold of it. */
export interface LossScale {
  scale: number;
  /** Steps since the scale changed, all of them finite. */
  finite_steps: number;
}

/** Floats of the device's state: scale, and steps since it changed. */
export const LOSS_SCALE_LENGTH = 2;

/** WGSL of the clipping stage that divides by the scale and renews it; see `loss_scale.wgsl`. */
export const LOSS_SCALE_WGSL = `const GROWTH_INTERVAL: f32 = ${
  floatLiteral(GROWTH_INTERVAL)
};\n${lossScaleWgsl}`;
