/** What `plan` says a training takes on the device is what it takes, to within a tenth. */

import assert from "assert";
import { join } from "path";
import { measurePlanned } from "./device_memory.ts";
import { inFolder } from "./training_support.ts";

const MODEL = `
model: { n_layer: 3, n_head: 4, n_embd: 128, n_positions: 64 }
generation: { max_new_tokens: 5 }
`;

Deno.test("the memory that is planned is the memory that is taken", () =>
  inFolder(async (dir) => {
    const model = join(dir, "model.yaml");
    await Deno.writeTextFile(model, MODEL);
    for (const accumulate_grad_batches of [1, 3]) {
      const training = { max_steps: 2, batch_size: 8, accumulate_grad_batches, warmup_steps: 1 };
      const { peak, planned } = await measurePlanned(dir, model, training);
      assert.ok(Math.abs(peak / planned - 1) < 0.1, `${peak} bytes taken, ${planned} planned`);
    }
  }));
