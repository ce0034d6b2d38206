/** Experiments as a user runs them: stopped, with a variant that fails. Killed ones are among the slow tests. */

import assert from "assert";
import { basename, join } from "path";
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

Deno.test({
  name:
    "Ctrl-C saves and exits with 130; the same command goes on, and after the end begins another with the same results",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (dir) => {
      await write(dir, "models: [{ name: wide, config: tiny.yaml }]\nbudget: { tokens: 2600 }\n");
      const child = startExperiment(dir);
      await until(() => {
        const run = stateIn(dir)?.runs[0]?.run;
        return run != null && lastStepOf(join(dir, "runs", run)) >= 3;
      }, child);
      child.kill("SIGINT");
      const { code, err, out } = await ended(child);
      assert.equal(code, 130, err);
      assert.match(out, /to go on {4}give the same command again/);
      assert.equal(stateIn(dir)!.status, "interrupted");
      assert.deepEqual(stateIn(dir)!.runs.map(({ status }) => status), ["begun"]);

      for (const count of [1, 2]) {
        const { code, err } = await experiment(dir);
        assert.equal(code, 0, err);
        assert.equal(experimentFolders(dir).length, count);
      }
      const [first, second] = experimentFolders(dir).map(resultsOf);
      assert.deepEqual(withoutMeasured(first), withoutMeasured(second));
      assert.equal(first.variants[0].metrics.val_bits_per_byte.std, null);
    }),
});

Deno.test("a variant that fails fails alone; --resume tries it again", () =>
  inFolder(async (dir) => {
    await write(
      dir,
      ONE_SEED.replace(
        "params: { model.n_embd: 16 }",
        "params: { training: { learning_rate: 1.0e+30, grad_clip: 0 } }",
      ),
    );
    const { code, out, err } = await experiment(dir);
    assert.equal(code, 1, err);
    assert.match(err, /narrow, seed 1 failed: step \d+: the loss is NaN/);
    assert.match(out, /failed {6}narrow, seed 1: step \d+/);
    const [folder] = experimentFolders(dir);
    const results = resultsOf(folder!);
    assert.equal(results.status, "failed");
    assert.deepEqual(
      results.variants.map(({ runs }: { runs: { status: string }[] }) => runs.map(({ status }) => status)),
      [["completed"], ["failed"]],
    );
    assert.equal(results.variants[1].metrics.val_bits_per_byte, null);
    assert.match(results.variants[1].runs[0].error, /lower training\.learning_rate/);
    for (const file of ["report.md", "report.html"]) {
      assert.match(await Deno.readTextFile(join(folder!, file)), /narrow with seed 1 failed/);
    }
    const again = await experiment(dir, "--resume", basename(folder!));
    assert.equal(again.code, 1, again.err);
    assert.equal((again.err.match(/begins|goes on/g) ?? []).length, 2, again.err); // the experiment, and its failed run
    assert.equal(runFolders(dir).length, 2);
  }));
