/** Experiments as a user runs them: to the end, killed, stopped, with a variant that fails, with each kind of budget. */

import assert from "assert";
import { basename, join } from "path";
import { exists } from "../../common/mod.ts";
import { readRun } from "../../experiments/mod.ts";
import { ended, inFolder, lastStepOf } from "../pipeline/training_support.ts";
import {
  experiment,
  experimentFolders,
  resultsOf,
  runFolders,
  SMALL,
  startExperiment,
  stateIn,
  until,
  withoutMeasured,
  write,
} from "./experiment_support.ts";

const ONE_SEED = SMALL.replace("seeds: [1, 2]", "seeds: [1]");

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

Deno.test("at equal work the larger model gets fewer steps; at equal time each as many as its rate allows", () =>
  inFolder(async (dir) => {
    await write(dir, ONE_SEED);
    const planned = async (budget: string) => {
      const { code, out, err } = await experiment(dir, "--dry-run", "--json", "--set", budget);
      assert.equal(code, 0, err);
      return JSON.parse(out).variants as { flops_per_step: number; max_steps: number }[];
    };
    const work = 1e9;
    const [wide, narrow] = await planned(`budget={flops: ${work}}`);
    assert.ok(wide!.max_steps < narrow!.max_steps);
    for (const { flops_per_step, max_steps } of [wide!, narrow!]) {
      assert.ok(max_steps * flops_per_step <= work && (max_steps + 1) * flops_per_step > work);
    }
    const poor = await experiment(dir, "--dry-run", "--set", "budget={flops: 100}");
    assert.equal(poor.code, 1);
    assert.match(poor.err, /budget\.flops does not pay for one step of wide/);
    const timed = await experiment(dir, "--json", "--set", "budget={seconds: 0.5}");
    assert.equal(timed.code, 0, timed.err);
    const { variants } = JSON.parse(timed.out).results;
    for (const { max_steps, runs } of variants) {
      assert.ok(max_steps >= 1 && runs[0].steps === max_steps && runs[0].status === "completed");
    }
    const [folder] = experimentFolders(dir);
    assert.equal(experimentFolders(dir).length, 1);
    assert.deepEqual(
      Array.from(Deno.readDirSync(join(dir, "runs/experiments")), ({ name }) => name),
      [basename(folder!)],
      "the pilot left something behind",
    );
  }));

Deno.test("halving trains all up to the first rung and only the best to the end, going on from where they were", () =>
  inFolder(async (dir) => {
    await write(
      dir,
      `
models: [{ name: tiny, config: tiny.yaml }]
training: { max_steps: 36, warmup_steps: 2 }
sweep:
  method: halving
  parameters: { training.learning_rate: [1.0e-6, 1.0e-2, 1.0e-5, 1.0e-7] }
  factor: 2
  rungs: 3
output: { keep_checkpoints: false }
`,
    );
    const { code, err } = await experiment(dir);
    assert.equal(code, 0, err);
    const { variants } = resultsOf(experimentFolders(dir)[0]!);
    assert.deepEqual(
      variants.map((
        { runs: [run] }: { runs: { status: string; steps: number }[] },
      ) => [run!.status, run!.steps]),
      [["stopped", 9], ["completed", 36], ["stopped", 18], ["stopped", 9]],
    );
    assert.equal(runFolders(dir).length, 4);
    const best = stateIn(dir)!.runs[1]!;
    assert.equal(best.scores.length, 3);
    const record = await readRun(join(dir, "runs", best.run!));
    assert.deepEqual(record.resumed.map(({ step }) => step), [9, 18]);
    assert.deepEqual(await exists(join(dir, "runs", best.run!, "checkpoints")), false);
  }));

async function parentsOf(run: string): Promise<unknown> {
  const record = await readRun(run) as Record<string, unknown>;
  return record.parents ?? [record.parent];
}
