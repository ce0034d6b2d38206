/** Runs that are killed or stopped go on as if nothing had happened: with real processes and real signals. */

import assert from "assert";
import { join } from "path";
import { pcg4d } from "../../common/mod.ts";
import { readRun } from "../../experiments/mod.ts";
import { checkpointPath } from "../../models/mod.ts";
import { chatgot, ended, inFolder, lastStep, measured, onlyRun, reached, start } from "./training_support.ts";

const TRAIN = ["train", "--config-path", "tiny.yaml", "--quiet"];

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Asserts that two runs came to the same: weights, moments, losses, samples. */
function assertSame(run: string, other: string, steps: number): void {
  for (const file of ["model.safetensors", "optimizer.safetensors"]) {
    const [a, b] = [run, other].map((dir) => Deno.readFileSync(join(checkpointPath(dir, steps), file)));
    assert.ok(a!.every((byte, i) => byte === b![i]), file);
  }
  assert.deepEqual(measured(run), measured(other));
  const samples = [run, other].map((dir) =>
    Deno.readTextFileSync(join(dir, "samples.jsonl")).replaceAll(/"time":"[^"]*"/g, "")
  );
  assert.equal(samples[0], samples[1]);
}

Deno.test("a run killed at five random moments ends as one that was not", () =>
  inFolder(async (whole) => {
    const undisturbed = await chatgot(whole, ...TRAIN);
    assert.equal(undisturbed.code, 0, undisturbed.err);
    await inFolder(async (dir) => {
      // Moments: a random step and a random few milliseconds after it, such as amid the writing of a checkpoint.
      const moments = Array.from({ length: 5 }, (_, i) => {
        const [a, b] = pcg4d(20, 26, 11, i);
        return { step: 8 * i + a! % 8 + 1, delay: b! % 30 };
      });
      for (const [i, { step, delay }] of moments.entries()) {
        const child = start(dir, i === 0 ? TRAIN : [...TRAIN, "--resume", "auto"]);
        while (i > 0 && (await readRun(onlyRun(dir))).resumed.length < i) await pause(5);
        await reached(dir, step, child);
        await pause(delay);
        child.kill("SIGKILL");
        await ended(child);
        assert.ok(lastStep(dir) < 60, `killed at step ${lastStep(dir)}, after the end`);
      }
      const last = await chatgot(dir, ...TRAIN, "--resume", "auto");
      assert.equal(last.code, 0, last.err);
      assert.equal((await readRun(onlyRun(dir))).resumed.length, 5);
      assertSame(onlyRun(dir), onlyRun(whole), 60);
    });
  }));
