/** Training in half precision with all variants, another loss scale, every optimizer, adapters. */

import assert from "assert";
import { OPTIMIZERS } from "../../gpu/mod.ts";
import { type ModelConfig, modelConfig } from "../../models/mod.ts";
import { assertGradients, batch, CONFIG, withModel } from "./mixed_precision_support.ts";
import { largest, OPERANDS, withGpu } from "./support.ts";
import { COMBINED, VARIANTS } from "./variant_models.ts";

[...COMBINED, ...VARIANTS].forEach(({ name, model, B, T }, i) => {
  const mode = OPERANDS[i % 2 === 0 ? 0 : 4]!; // textures, and buffers in slices
  Deno.test(`loss and gradients in half precision: ${name}, ${mode.name}`, () =>
    withGpu(mode.options, (gpu) => assertGradients(gpu, modelConfig(model), B, T)));
});

Deno.test("another loss scale comes to nearly the same", () =>
  withGpu({}, async (gpu) => {
    const losses: number[][] = [];
    for (const scale of [256, 512]) {
      const options = { accumulate_grad_batches: 2, grad_clip: 0 };
      await withModel(gpu, modelConfig({ ...CONFIG, n_layer: 3 }), options, async (model) => {
        model.setLossScale({ scale, finite_steps: 0 });
        for (let step = 1; step <= 2; step++) {
          model.step(step, 0.01, [batch(CONFIG, 4 * step), batch(CONFIG, 4 * step + 2)]);
        }
        losses.push((await model.readMetrics()).map(({ loss }) => loss));
      });
    }
    losses[0]!.forEach((loss, i) => assert(Math.abs(loss - losses[1]![i]!) < 1e-3));
  }));

Deno.test("every optimizer lowers the loss in half precision", () =>
  withGpu({}, async (gpu) => {
    for (const optimizer of OPTIMIZERS) {
      await withModel(gpu, CONFIG, { optimizer }, async (model) => {
        for (let step = 1; step <= 8; step++) model.step(step, 0.01, [batch(CONFIG, 1)]);
        const losses = (await model.readMetrics()).map(({ loss }) => loss);
        assert(losses[7]! < losses[0]!, `${optimizer}: ${losses}`);
        assert(largest((await model.weights()).get("wte.weight")!.data) < 10);
      });
    }
  }));

Deno.test("adapters of low rank learn in half precision, what is frozen stands still", () =>
  withGpu({}, async (gpu) => {
    const config: ModelConfig = {
      ...CONFIG,
      lora: { rank: 3, alpha: 4.5, targets: ["c_attn", "c_fc", "mlp.c_proj", "attn.c_proj"] },
    };
    await withModel(gpu, config, {}, async (model) => {
      const before = await model.weights();
      for (let step = 1; step <= 8; step++) model.step(step, 0.01, [batch(config, 1)]);
      const losses = (await model.readMetrics()).map(({ loss }) => loss);
      assert(losses[7]! < losses[0]!, `${losses}`);
      for (const [name, { data }] of await model.weights()) {
        assert.equal(
          data.every((value, i) => value === before.get(name)!.data[i]),
          !name.includes("lora_"),
          name,
        );
      }
    });
  }));
