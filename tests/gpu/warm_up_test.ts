/** Compiling beside the first step: which kernels are chosen, and that it changes nothing and leaves nothing behind. */

import assert from "assert";
import { laterHalf } from "../../gpu/warm_up.ts";
import { initialWeights, modelConfig, TrainableModel } from "../../models/mod.ts";
import { withGpu } from "./support.ts";

Deno.test("laterHalf() takes the kernels that make up the later half of the text", () => {
  const code = (length: number) => ({ code: "x".repeat(length) });
  const lengths = (list: { code: string }[]) => list.map((s) => s.code.length);
  assert.deepEqual(lengths(laterHalf([code(10), code(2), code(3), code(5)])), [2, 3, 5]);
  assert.deepEqual(lengths(laterHalf([code(1), code(1), code(10)])), [10]);
  assert.deepEqual(laterHalf([]), []);
});

Deno.test("a warmed-up training gives the bits of one that was not", () =>
  withGpu({}, async (gpu) => {
    const config = modelConfig({ n_layer: 1, n_head: 2, n_embd: 20, n_positions: 8 }, 11);
    const options = { batch_size: 2, max_seq_length: 8, accumulate_grad_batches: 1, seed: 0, grad_clip: 1 };
    const adamw = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1 };
    const ids = Uint32Array.from({ length: 16 }, (_, i) => i * 7 % 11);
    const results = [];
    for (const warm of [false, true]) {
      const model = new TrainableModel(gpu, config, { ...options, ...adamw });
      model.load(initialWeights(config, 1));
      if (warm) await model.warmUp();
      for (let step = 1; step <= 3; step++) model.step(step, 1e-2, [{ input_ids: ids, targets: ids }]);
      results.push(await model.readMetrics());
      model.destroy();
    }
    assert.deepEqual(results[1], results[0]);
  }));
