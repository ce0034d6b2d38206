/** Blocks that are computed again in the backward pass: the same bits as blocks that are kept, in less memory. */

import assert from "assert";
import { type Gpu } from "../../gpu/mod.ts";
import { type ModelConfig, modelConfig, parameters, TrainableModel, trainingPlan } from "../../models/mod.ts";
import { OPERANDS, randomIds, randomParameters, withGpu } from "./support.ts";

const SHAPE = { n_head: 3, n_embd: 15, n_positions: 12, vocab_size: 31, dropout: 0.1 };
const CONFIG = modelConfig({ n_layer: 3, ...SHAPE });

const OPTIONS = {
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

type Checkpointing = "none" | "block";

/** Losses, gradients and weights after some steps. */
async function train(gpu: Gpu, config: ModelConfig, gradient_checkpointing: Checkpointing) {
  const model = new TrainableModel(gpu, config, { ...OPTIONS, gradient_checkpointing });
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

// Accessors do not matter here, kernels do.
for (const { name, options } of OPERANDS.filter(({ name }) => /^textures$|GPU/.test(name))) {
  Deno.test(`losses, gradients and weights are bit-identical to those of blocks that are kept: ${name}`, () =>
    withGpu(options, async (gpu) => {
      assert.deepEqual(await train(gpu, CONFIG, "block"), await train(gpu, CONFIG, "none"));
    }));
}

Deno.test("so are those of a model in which everything is another variant", () =>
  withGpu({}, async (gpu) => {
    const config = modelConfig({
      ...SHAPE,
      n_layer: 2,
      n_embd: 18,
      attention_type: "standard",
      n_kv_head: 1,
      position_type: "rotary",
      qk_norm: true,
      norm_type: "rms_norm",
      mlp_type: "swiglu",
      bias: false,
    });
    assert.deepEqual(await train(gpu, config, "block"), await train(gpu, config, "none"));
  }));

Deno.test("planned memory falls, and what is computed again counts as no work", () =>
  withGpu({}, (gpu) => {
    const config = { ...CONFIG, n_layer: 12 };
    const [kept, again] = (["none", "block"] as const).map((gradient_checkpointing) =>
      trainingPlan(config, { ...OPTIONS, gradient_checkpointing }, gpu)
    );
    assert(again!.memory.activations < 0.35 * kept!.memory.activations);
    assert.equal(again!.flops, kept!.flops);
    const repeated = again!.dispatches.filter(({ repeats }) => repeats);
    assert(repeated.length > 11 * 5 && repeated.every(({ phase }) => phase === "backward"));
    assert(kept!.dispatches.every(({ repeats }) => !repeats));
  }));
