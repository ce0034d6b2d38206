/** The full length of `chatgot_tiny_char`: 8-bit moments cost no more than 1 % of AdamW's loss. */

import assert from "assert";
import { join } from "path";
import { train } from "../../mod.ts";

Deno.test("chatgot_tiny_char ends with AdamW in 8 bits within 1 % of its loss with AdamW", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const losses: number[] = [];
    for (const optimizer of ["adamw", "adamw_8bit"]) {
      const run = await train({
        model: join(import.meta.dirname!, "../../configs/models/chatgot_tiny_char.yaml"),
        training: { optimizer, eval_interval: 0, sample_interval: 0, checkpoint_interval: 0 },
        runs_dir: join(dir, "runs"),
        warn: () => {},
      });
      assert.equal(run.steps, 1200);
      losses.push(run.val_loss!);
    }
    const [adamw, eight] = losses;
    assert.ok(Math.abs(eight! / adamw! - 1) < 0.01, `${eight} and ${adamw}`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
