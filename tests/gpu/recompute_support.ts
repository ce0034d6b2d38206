/** What the tests of what is computed again share: some steps of a training, and the models to take them with. */

import assert from "assert";
import type { Gpu, MixedPrecision } from "../../gpu/mod.ts";
import {
  type GradientCheckpointing,
  type ModelConfig,
  modelConfig,
  parameters,
  TrainableModel,
} from "../../models/mod.ts";
import { randomIds, randomParameters } from "./support.ts";

/** What all models here have. */
export const SHAPE = { n_head: 3, n_embd: 15, n_positions: 12, vocab_size: 31, dropout: 0.1 };
/** A model of three blocks. */
export const CONFIG = modelConfig({ n_layer: 3, ...SHAPE });

/** How it is trained. */
export const OPTIONS = {
  batch_size: 3,
  max_seq_length: 11,
  accumulate_grad_batches: 1,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-3,
  weight_decay: 0.1,
  grad_clip: 1,
  seed: 3,
};

/** Losses, gradients and weights after some steps. */
async function train(
  gpu: Gpu,
  config: ModelConfig,
  changes: { gradient_checkpointing: GradientCheckpointing; mixed_precision: MixedPrecision },
) {
  const model = new TrainableModel(gpu, config, { ...OPTIONS, ...changes });
  const values = randomParameters(config);
  model.load(new Map(parameters(config).map(({ name, shape }) => [name, { shape, data: values[name]! }])));
  for (let step = 1; step <= 3; step++) {
    const [input_ids, targets] = [2 * step, 2 * step + 1].map((stream) => randomIds(33, stream, 31));
    model.step(step, 0.01, [{ input_ids: input_ids!, targets: targets! }]);
  }
  const result = {
    metrics: await model.readMetrics(),
    gradients: await model.weights("gradient"),
    weights: await model.weights(),
  };
  model.destroy();
  return result;
}

/** Asserts that training computes the same bits with what is kept and with what is computed again. */
export async function assertSameBits(
  gpu: Gpu,
  config: ModelConfig,
  mixed_precision: MixedPrecision = "none",
): Promise<void> {
  const kept = await train(gpu, config, { gradient_checkpointing: "none", mixed_precision });
  for (const values of kept.gradients.values()) assert(values.data.every(Number.isFinite));
  for (const gradient_checkpointing of ["selective", "block"] as const) {
    const again = await train(gpu, config, { gradient_checkpointing, mixed_precision });
    assert.deepEqual(again, kept, gradient_checkpointing);
  }
}
