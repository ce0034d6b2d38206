/** Finding out where a NaN or Infinity came up. */

import { UserError } from "../common/mod.ts";
import { parameters, type StepMetrics, type TrainableModel } from "../models/mod.ts";

/** A step whose loss or gradient was NaN or Infinity. */
export interface NotFinite {
  step: number;
  loss: number;
  grad_norm: number;
  /** The first tensor with such a value, such as `gradient of h.1.mlp.c_fc.weight`. */
  tensor: string;
}

/** Thrown between reading a loss that is not finite and telling of it. */
export class NotFiniteStep extends Error {
  constructor(readonly metrics: StepMetrics) {
    super();
  }
}

/** The smallest loss scale at which a gradient may overflow without being at fault itself. */
const LEAST_LOSS_SCALE = 1;

/** Whether a step was skipped because its gradient overflowed half precision: the next one has half the loss scale. */
export function wasSkipped({ loss, grad_norm, loss_scale }: StepMetrics): boolean {
  return loss_scale !== undefined && loss_scale > LEAST_LOSS_SCALE && Number.isFinite(loss) &&
    !Number.isFinite(grad_norm);
}

/** Throws `NotFiniteStep` when a step's loss or gradient is NaN or Infinity, and no smaller loss scale would help. */
export function checkFinite(metrics: StepMetrics): void {
  if (wasSkipped(metrics)) return;
  if (!Number.isFinite(metrics.loss) || !Number.isFinite(metrics.grad_norm)) throw new NotFiniteStep(metrics);
}

/**
 * The tensor to name: a parameter if one has such a value, for it is the cause; else, in the order of the backward pass,
 * the first gradient (of the last step that the device worked on), with how many there are.
 */
export async function findNotFinite(model: TrainableModel): Promise<string> {
  const all = parameters(model.config);
  for (const { name } of all) {
    if (hasNotFinite(await model.store.read(name))) return `parameter ${name}`;
  }
  const bad: string[] = [];
  for (const { name, frozen } of all.toReversed()) {
    if (!frozen && hasNotFinite(await model.store.read(name, "gradient"))) bad.push(name);
  }
  const [first, ...others] = bad;
  if (first === undefined) return "loss"; // or the sum of squares overflowed, of gradients that did not
  return `gradient of ${first}${others.length === 0 ? "" : ` (and of ${others.length} more)`}`;
}

/**
 * The error that tells a user so.
 *
 * @param remains what of the training is still good
 */
export function notFiniteError({ step, loss, grad_norm, tensor }: NotFinite, remains: string): UserError {
  const what = Number.isFinite(loss) ? `the gradient's norm is ${grad_norm}` : `the loss is ${loss}`;
  return new UserError(`step ${step}: ${what}; first seen in the ${tensor}`, {
    hint: `lower training.learning_rate, or lengthen training.warmup_steps; ${remains}`,
  });
}

function hasNotFinite(values: Float32Array): boolean {
  return values.some((value) => !Number.isFinite(value));
}
