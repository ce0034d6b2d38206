/** What the tests of training in half precision share: models in training, and gradients against float64. */

import assert from "assert";
import type { Gpu } from "../../gpu/mod.ts";
import {
  type ModelConfig,
  modelConfig,
  parameters,
  TrainableModel,
  type TrainableOptions,
} from "../../models/mod.ts";
import { gpt } from "./float64_gpt.ts";
import { randomIds, randomParameters } from "./support.ts";

/** How models are trained. */
export const OPTIONS: TrainableOptions = {
  batch_size: 2,
  max_seq_length: 16,
  accumulate_grad_batches: 1,
  mixed_precision: "f16",
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weight_decay: 0.1,
  grad_clip: 1,
  seed: 1,
};

/** A model of two layers. */
export const CONFIG = modelConfig({ n_layer: 2, n_head: 3, n_embd: 21, n_positions: 16, vocab_size: 13 });

/** A micro-batch. */
export const batch = (
  config: ModelConfig,
  stream: number,
  { batch_size, max_seq_length }: TrainableOptions = OPTIONS,
) => ({
  input_ids: randomIds(batch_size * max_seq_length, stream, config.vocab_size),
  targets: randomIds(batch_size * max_seq_length, stream + 1, config.vocab_size),
});

/** Opens a model with random weights. */
export async function withModel(
  gpu: Gpu,
  config: ModelConfig,
  options: Partial<TrainableOptions>,
  body: (model: TrainableModel) => Promise<void>,
): Promise<void> {
  const model = new TrainableModel(gpu, config, { ...OPTIONS, ...options });
  const values = randomParameters(config);
  for (const { name } of parameters(config)) model.store.write(name, values[name]!);
  model.store.syncMirrors();
  try {
    await body(model);
  } finally {
    model.destroy();
  }
}

const root = (values: ArrayLike<number>) => Math.hypot(...Array.from(values));

/** The largest loss scale of this model's gradients that half precision holds. */
const SCALE = 1024;

/**
 * Asserts that a training step's loss and gradients are those of float64. Every value that half precision holds is off by at most
 * 2^-11 of itself. A gradient has passed some 12 of them in each layer on the way forward and as many on the way back, each of
 * which its error as a whole (not that of each element, whose terms may cancel) grows by.
 */
export async function assertGradients(gpu: Gpu, config: ModelConfig, B: number, T: number): Promise<void> {
  const options = { ...OPTIONS, batch_size: B, max_seq_length: T, grad_clip: 0 };
  const { input_ids, targets } = batch(config, 1, options);
  await withModel(gpu, config, options, async (model) => {
    model.setLossScale({ scale: SCALE, finite_steps: 0 });
    model.step(1, 0, [{ input_ids, targets }]);
    const [metrics] = await model.readMetrics();
    const gradients = await model.weights("gradient");
    const expected = gpt(config, { B, T }, randomParameters(config), input_ids, targets);
    const allowed = 24 * (config.n_layer + 1) * 2 ** -11;
    assert(Math.abs(metrics!.loss / expected.loss - 1) < allowed, `loss ${metrics!.loss}, ${expected.loss}`);
    assert.equal(metrics!.loss_scale, SCALE);
    const all = root(Object.values(expected.gradients).map(root));
    assert(Math.abs(metrics!.grad_norm / all - 1) < allowed, `norm ${metrics!.grad_norm}, ${all}`);
    for (const [name, { data }] of gradients) {
      const exact = expected.gradients[name]!;
      const error = root(data.map((value, i) => value / SCALE - exact[i]!)) / root(exact);
      assert(error < allowed, `${name}: ${error} of it, ${allowed} allowed`);
    }
  });
}
