/** An experiment that is killed in the middle of a run. */

import assert from "assert";
import { basename, join } from "path";
import { readRun } from "../../experiments/mod.ts";
import { ended, inFolder, lastStepOf } from "../pipeline/training_support.ts";
import {
  experiment,
  experimentFolders,
  ONE_SEED,
  resultsOf,
  runFolders,
  startExperiment,
  stateIn,
  until,
  withoutMeasured,
  write,
} from "./experiment_support.ts";

Deno.test("killed in the middle, an experiment goes on without redoing what is done, and ends as one that was not", () =>
  inFolder(async (whole) => {
    await write(whole, ONE_SEED);
    const undisturbed = await experiment(whole, "--json");
    assert.equal(undisturbed.code, 0, undisturbed.err);
    const told = JSON.parse(undisturbed.out);
    assert.deepEqual([told.status, told.failed], ["completed", []]);
    const [folder] = experimentFolders(whole);
    const results = resultsOf(folder!);
    assert.deepEqual(told.results, results);
    assert.equal(results.variants.length, 2);
    for (const { runs, tokens_per_step, metrics } of results.variants) {
      assert.deepEqual([runs[0].steps, runs[0].tokens, tokens_per_step], [40, 2560, 64]); // 2600 tokens pay for 40 steps
      assert.deepEqual(metrics.val_bits_per_byte, {
        n: 1,
        mean: runs[0].metrics.val_bits_per_byte,
        std: null,
        min: runs[0].metrics.val_bits_per_byte,
        max: runs[0].metrics.val_bits_per_byte,
      });
    }
    for (const run of runFolders(whole)) assert.deepEqual(await parentsOf(run), [basename(folder!)]);

    await inFolder(async (dir) => {
      await write(dir, ONE_SEED);
      const child = startExperiment(dir);
      const killedAt = 25; // of 40 steps, with a checkpoint every 10
      await until(() => {
        const state = stateIn(dir);
        const run = state?.runs.find(({ status }) => status === "begun")?.run;
        return state?.runs[0]?.status === "completed" && run != null &&
          lastStepOf(join(dir, "runs", run)) >= killedAt;
      }, child);
      child.kill("SIGKILL");
      await ended(child);
      const before = stateIn(dir)!;
      const first = join(dir, "runs", before.runs[0]!.run!);
      const record = await Deno.readTextFile(join(first, "run.json"));

      const last = await experiment(dir, "--quiet");
      assert.equal(last.code, 0, last.err);
      assert.equal(experimentFolders(dir).length, 1);
      assert.equal(last.out.trim(), `runs/experiments/${basename(experimentFolders(dir)[0]!)}`);
      assert.equal(runFolders(dir).length, 2);
      assert.equal(await Deno.readTextFile(join(first, "run.json")), record, "a finished run was touched");
      const resumed = [];
      for (const run of runFolders(dir)) {
        resumed.push(...(await readRun(run)).resumed.map(({ step }) => step));
      }
      assert.equal(resumed.length, 1);
      assert.ok(resumed[0]! >= 20, `went on from step ${resumed[0]}`);
      assert.deepEqual(withoutMeasured(resultsOf(experimentFolders(dir)[0]!)), withoutMeasured(results));
    });
  }));

async function parentsOf(run: string): Promise<unknown> {
  const record = await readRun(run) as Record<string, unknown>;
  return record.parents ?? [record.parent];
}
