/** What `plan` says of a model of GPT-2's size is what a training of it takes on the device. */

import assert from "assert";
import { join } from "path";
import { measurePlanned } from "./device_memory.ts";
import { inFolder } from "./training_support.ts";

const GPT2_SMALL = join(import.meta.dirname!, "../../configs/models/gpt2_small.yaml");

Deno.test("gpt2_small takes the memory that is planned", () =>
  inFolder(async (dir) => {
    const { peak, planned } = await measurePlanned(dir, GPT2_SMALL, {
      max_steps: 1,
      batch_size: 1,
      max_seq_length: 256,
      accumulate_grad_batches: 1,
    });
    assert.ok(Math.abs(peak / planned - 1) < 0.1, `${peak} bytes taken, ${planned} planned`);
  }));
