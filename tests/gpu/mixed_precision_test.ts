/** Training in half precision: gradients within what it implies, and the course of the loss scale. */

import assert from "assert";
import { assertGradients, batch, CONFIG, withModel } from "./mixed_precision_support.ts";
import { withGpu } from "./support.ts";

Deno.test("loss and gradients in half precision, in textures", () =>
  withGpu({}, (gpu) => assertGradients(gpu, CONFIG, 2, 16)));

Deno.test("loss and gradients in half precision, in buffers, with a GPU's kernels", () =>
  withGpu({ operands: "buffer", profile: "gpu" }, (gpu) => assertGradients(gpu, CONFIG, 2, 16)));

Deno.test("the loss scale is halved by a gradient that overflows, whose step is skipped, and doubled after 2000 others", () =>
  withGpu({}, (gpu) =>
    withModel(gpu, CONFIG, {}, async (model) => {
      model.setLossScale({ scale: 2 ** 40, finite_steps: 7 });
      const before = await model.weights();
      model.step(1, 0.01, [batch(CONFIG, 1)]);
      const [skipped] = await model.readMetrics();
      assert.equal(skipped!.loss_scale, 2 ** 40);
      assert(Number.isFinite(skipped!.loss) && !Number.isFinite(skipped!.grad_norm));
      assert.deepEqual(await model.lossScale(), { scale: 2 ** 39, finite_steps: 0 });
      assert.deepEqual(await model.weights(), before);
      model.setLossScale({ scale: 64, finite_steps: 1998 });
      for (const step of [2, 3]) model.step(step, 0.01, [batch(CONFIG, 1)]);
      const metrics = await model.readMetrics();
      assert.deepEqual(metrics.map(({ loss_scale }) => loss_scale), [64, 64]);
      assert.deepEqual(await model.lossScale(), { scale: 128, finite_steps: 0 });
      assert.notDeepEqual(await model.weights(), before);
    })));
