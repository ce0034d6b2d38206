/** A quarter of `chatgot_tiny_char`: half precision costs no more than 1 % of the loss. */

import assert from "assert";
import { join } from "path";
import { train } from "../../mod.ts";

Deno.test("chatgot_tiny_char in half precision ends within 1 % of its loss without", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const losses: number[] = [];
    for (const mixed_precision of ["none", "f16"] as const) {
      const run = await train({
        model: join(import.meta.dirname!, "../../configs/models/chatgot_tiny_char.yaml"),
        training: {
          mixed_precision,
          max_steps: 300,
          eval_interval: 0,
          sample_interval: 0,
          checkpoint_interval: 0,
        },
        runs_dir: join(dir, "runs"),
        warn: () => {},
      });
      assert.equal(run.steps, 300);
      losses.push(run.val_loss!);
    }
    const [full, half] = losses;
    assert.ok(Math.abs(half! / full! - 1) < 0.01, `${half} and ${full}`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
