/**
 * What `plan` says of the configs that ship is what they take on the device, whatever is computed again: the small ones in a
 * whole training, the large ones by all that is allocated before a step.
 */

import assert from "assert";
import { join } from "path";
import { GRADIENT_CHECKPOINTING, modelConfig } from "../../models/mod.ts";
import { resolveRunConfig } from "../../pipeline/mod.ts";
import { measureAllocated, measurePlanned } from "./device_memory.ts";
import { inFolder } from "./training_support.ts";

const CONFIGS = join(import.meta.dirname!, "../../configs/models");

function assertClose({ peak, planned }: { peak: number; planned: number }): void {
  assert.ok(Math.abs(peak / planned - 1) < 0.1, `${peak} bytes taken, ${planned} planned`);
}

Deno.test("gpt2_small takes the memory that is planned", () =>
  inFolder(async (dir) => {
    const training = { max_steps: 1, batch_size: 1, max_seq_length: 256, accumulate_grad_batches: 1 };
    assertClose(await measurePlanned(dir, join(CONFIGS, "gpt2_small.yaml"), training));
  }));

for (const name of ["chatgot_tiny_char", "baby_char"]) {
  for (const gradient_checkpointing of GRADIENT_CHECKPOINTING) {
    Deno.test(`${name} with ${gradient_checkpointing} takes the memory that is planned`, () =>
      inFolder(async (dir) => {
        const training = { max_steps: 2, warmup_steps: 1, eval_batches: 2, gradient_checkpointing };
        assertClose(await measurePlanned(dir, join(CONFIGS, `${name}.yaml`), training));
      }));
  }
}

for (const { name } of [...Deno.readDirSync(CONFIGS)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  for (const gradient_checkpointing of GRADIENT_CHECKPOINTING) {
    Deno.test(`${name} with ${gradient_checkpointing} allocates what is planned`, async () => {
      const { model, training } = await configOf(name);
      const settled = modelConfig(model, model.vocab_size ?? 100); // characters, about as many as a text has
      for (const optimizer of ["adamw", "adamw_8bit"] as const) {
        assertClose(
          await measureAllocated(settled, { ...training, gradient_checkpointing, optimizer }),
        );
      }
    });
  }
}

/** A config; the shape that a fine-tuning takes from a model of the user's is GPT-2 small's here. */
async function configOf(name: string) {
  const shape = name === "gpt2_fine_tune.yaml"
    ? (await resolveRunConfig({ configPath: join(CONFIGS, "gpt2_small.yaml") })).model
    : {};
  const flags = Object.fromEntries(Object.entries(shape).map(([key, value]) => [`model.${key}`, value]));
  return await resolveRunConfig({ configPath: join(CONFIGS, name), flags });
}
