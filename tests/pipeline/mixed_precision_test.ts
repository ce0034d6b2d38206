/** Runs in half precision: they go on bit for bit, tolerate skipped steps, and take the memory that is planned. */

import assert from "assert";
import { join } from "path";
import { openGpu } from "../../gpu/mod.ts";
import { checkpointPath, modelConfig } from "../../models/mod.ts";
import { planReport, resolveRunConfig } from "../../pipeline/mod.ts";
import { checkFinite, wasSkipped } from "../../pipeline/not_finite.ts";
import { measurePlanned } from "./device_memory.ts";
import { inFolder, measured, trainIn } from "./training_support.ts";

const ODD = `
model: { n_layer: 2, n_head: 3, n_embd: 33, n_positions: 16, dropout: 0.1 }
data: { corpus: corpus.txt, processed_dir: processed }
training: { batch_size: 4, log_interval: 1, eval_interval: 0, checkpoint_interval: 0, warmup_steps: 5 }
generation: { max_new_tokens: 4 }
tracking: { runs_dir: runs }
`;

Deno.test("a run in half precision learns, and one that pauses and goes on is the same, loss scale and all", () =>
  inFolder(async (dir) => {
    const settings = { mixed_precision: "f16" as const, learning_rate: 3e-3, max_steps: 20 };
    const whole = await trainIn(dir, settings, { name: "whole" });
    const lines = measured(whole.dir).filter((line) => "train_loss" in line);
    assert.ok(Number(lines.at(-1)!.train_loss) < 0.95 * Number(lines[0]!.train_loss));
    assert.ok(lines.every((line) => line.loss_scale === 65536));
    const begun = await trainIn(dir, settings, { pause_at: 11, name: "paused" });
    const run = await trainIn(dir, {}, { resume: begun.dir });
    for (const file of ["model.safetensors", "optimizer.safetensors"]) {
      const [a, b] = [whole, run].map(({ dir }) => Deno.readFileSync(join(checkpointPath(dir, 20), file)));
      assert.deepEqual(a, b, file);
    }
    assert.deepEqual(measured(run.dir), measured(whole.dir));
    const state = JSON.parse(Deno.readTextFileSync(join(checkpointPath(run.dir, 20), "state.json")));
    assert.deepEqual(state.state.loss_scale, { scale: 65536, finite_steps: 20 });
  }, ODD));

Deno.test("a step that a smaller loss scale will mend is skipped, others stop the run", () => {
  const step = { step: 3, loss: 2.5, grad_norm: Infinity };
  assert.ok(wasSkipped({ ...step, loss_scale: 65536 }));
  checkFinite({ ...step, loss_scale: 65536 });
  for (const fault of [step, { ...step, loss_scale: 1 }, { ...step, loss: NaN, loss_scale: 65536 }]) {
    assert.ok(!wasSkipped(fault));
    assert.throws(() => checkFinite(fault));
  }
  assert.ok(!wasSkipped({ step: 3, loss: 2.5, grad_norm: 1, loss_scale: 65536 }));
});

Deno.test("the memory that is planned is taken in half precision", () =>
  inFolder(async (dir) => {
    const model = join(dir, "model.yaml");
    await Deno.writeTextFile(model, "model: { n_layer: 3, n_head: 4, n_embd: 128, n_positions: 64 }");
    const training = { max_steps: 1, batch_size: 8, warmup_steps: 1, mixed_precision: "f16" as const };
    const { peak, planned } = await measurePlanned(dir, model, training);
    assert.ok(Math.abs(peak / planned - 1) < 0.1, `${peak} taken, ${planned} planned`);
  }));

Deno.test("what `plan` shows of chatgot_small_char: half of activations and copies, 4 GiB with what else saves memory", async () => {
  const gpu = await openGpu({ operands: "texture" });
  try {
    const memoryOf = async (training: Record<string, unknown>) => {
      const config = await resolveRunConfig({
        configPath: join(import.meta.dirname!, "../../configs/models/chatgot_small_char.yaml"),
        flags: { "training.batch_size": 8, "training.max_seq_length": 1024, ...training },
      });
      return planReport(modelConfig(config.model, 90), config.training, gpu).memory;
    };
    const full = await memoryOf({});
    const half = await memoryOf({ "training.mixed_precision": "f16" });
    assert.ok(half.activations > 0.5 * full.activations && half.activations < 0.51 * full.activations);
    assert.ok(
      half.weight_copies > 0.5 * full.weight_copies && half.weight_copies < 0.51 * full.weight_copies,
    );
    assert.deepEqual([half.weights, half.gradients, half.moments], [
      full.weights,
      full.gradients,
      full.moments,
    ]);
    const least = await memoryOf({
      "training.mixed_precision": "f16",
      "training.gradient_checkpointing": "block",
      "training.optimizer": "adamw_8bit",
    });
    assert.ok(least.total < 4 * 2 ** 30, `${least.total}`);
  } finally {
    gpu.close();
  }
});
