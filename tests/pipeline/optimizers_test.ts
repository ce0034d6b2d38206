/** Every optimizer in a training: it learns, goes on bit for bit from a real checkpoint, and takes the memory that is planned. */

import assert from "assert";
import { join } from "path";
import { openGpu, OPTIMIZERS } from "../../gpu/mod.ts";
import { checkpointPath, modelConfig, openSafetensors } from "../../models/mod.ts";
import { planReport, resolveRunConfig } from "../../pipeline/mod.ts";
import { measurePlanned } from "./device_memory.ts";
import { inFolder, measured, trainIn } from "./training_support.ts";

/** A width that is no multiple of a texture's row, and heads that are padded. */
const ODD = `
model: { n_layer: 2, n_head: 3, n_embd: 33, n_positions: 16, dropout: 0.1 }
data: { corpus: corpus.txt, processed_dir: processed }
training: { batch_size: 4, log_interval: 1, eval_interval: 0, checkpoint_interval: 0, warmup_steps: 5 }
generation: { max_new_tokens: 4 }
tracking: { runs_dir: runs }
`;

/** Learning rates that suit. */
const RATES = { adamw_8bit: 3e-3, muon: 3e-3, lion: 5e-4, sgd: 1e-1 };

for (const optimizer of OPTIMIZERS.filter((name) => name !== "adamw")) { // whose runs are killed in train_kill_test.ts
  Deno.test(`${optimizer}: a run learns, and one that pauses and goes on is the same, bit for bit`, () =>
    inFolder(async (dir) => {
      const settings = { optimizer, learning_rate: RATES[optimizer], max_steps: 20 };
      const whole = await trainIn(dir, settings, { name: "whole" });
      const lines = measured(whole.dir).filter((line) => "train_loss" in line);
      assert.ok(
        Number(lines.at(-1)!.train_loss) < 0.95 * Number(lines[0]!.train_loss),
        `${lines.at(-1)!.train_loss}`,
      );
      const begun = await trainIn(dir, settings, { pause_at: 11, name: "paused" });
      assert.equal(begun.steps, 11);
      const run = await trainIn(dir, {}, { resume: begun.dir });
      for (const file of ["model.safetensors", "optimizer.safetensors"]) {
        const [a, b] = [whole, run].map(({ dir }) => Deno.readFileSync(join(checkpointPath(dir, 20), file)));
        assert.deepEqual(a, b, file);
      }
      assert.deepEqual(measured(run.dir), measured(whole.dir));
    }, ODD));
}

Deno.test("an optimizer cannot change when a run goes on, neither by flag nor behind its back", () =>
  inFolder(async (dir) => {
    const begun = await trainIn(dir, { optimizer: "lion", max_steps: 4 }, { pause_at: 2 });
    await assert.rejects(
      trainIn(dir, { optimizer: "sgd" }, { resume: begun.dir }),
      /training\.optimizer.* cannot change/,
    );
    const config = join(begun.dir, "config.yaml");
    const text = await Deno.readTextFile(config);
    await Deno.writeTextFile(config, text.replace("optimizer: lion", "optimizer: sgd"));
    await assert.rejects(
      trainIn(dir, {}, { resume: begun.dir }),
      /the checkpoint holds the state of lion, .*training\.optimizer: sgd/,
    );
  }, ODD));

Deno.test("8-bit moments: a quarter of AdamW's in plan and in the file, and the loss within 1 %", () =>
  inFolder(async (dir) => {
    const losses: number[] = [], bytes: number[] = [];
    for (const optimizer of ["adamw", "adamw_8bit"]) {
      const run = await trainIn(dir, { optimizer, max_steps: 60, checkpoint_interval: 0 });
      losses.push(run.val_loss!);
      using file = openSafetensors(join(checkpointPath(run.dir, 60), "optimizer.safetensors"));
      bytes.push([...file.tensors.values()].reduce((sum, { begin, end }) => sum + end - begin, 0));
    }
    const [adamw, eight] = losses;
    assert.ok(Math.abs(eight! / adamw! - 1) < 0.01, `${eight} and ${adamw}`);
    assert.ok(bytes[1]! <= 0.27 * bytes[0]!, `${bytes[1]} of ${bytes[0]} bytes`);
  }));

Deno.test("what `plan` shows of the moments of chatgot_tiny_char", async () => {
  const gpu = await openGpu();
  try {
    const configPath = join(import.meta.dirname!, "../../configs/models/chatgot_tiny_char.yaml");
    const plans = new Map(
      await Promise.all(OPTIMIZERS.map(async (optimizer) => {
        const { model, training } = await resolveRunConfig({
          configPath,
          flags: { "training.optimizer": optimizer },
        });
        return [optimizer, planReport(modelConfig(model, 90), training, gpu)] as const;
      })),
    );
    const of = (optimizer: typeof OPTIMIZERS[number]) => plans.get(optimizer)!.memory;
    assert.equal(of("adamw").moments, 2 * of("adamw").weights);
    assert.ok(of("adamw_8bit").moments <= 0.27 * of("adamw").moments);
    for (const optimizer of ["lion", "sgd"] as const) {
      assert.equal(of(optimizer).moments, of("adamw").moments / 2);
    }
    assert.ok(of("muon").moments < 0.53 * of("adamw").moments);
    assert.ok(of("muon").optimizer_work > 0 && of("adamw").optimizer_work === 0);
    assert.ok(plans.get("muon")!.flops_per_step > plans.get("adamw")!.flops_per_step);
  } finally {
    gpu.close();
  }
});

Deno.test("the memory that is planned is taken: moments in 8 bits and blocks computed again, Muon's matrices", () =>
  inFolder(async (dir) => {
    const model = join(dir, "model.yaml");
    await Deno.writeTextFile(model, "model: { n_layer: 3, n_head: 4, n_embd: 128, n_positions: 64 }");
    for (
      const settings of [
        { optimizer: "adamw_8bit", gradient_checkpointing: "block" },
        { optimizer: "muon", gradient_checkpointing: "none" },
      ]
    ) {
      const training = { max_steps: 2, batch_size: 8, warmup_steps: 1, ...settings };
      const { peak, planned } = await measurePlanned(dir, model, training);
      assert.ok(
        Math.abs(peak / planned - 1) < 0.1,
        `${settings.optimizer}: ${peak} bytes taken, ${planned} planned`,
      );
    }
  }));
