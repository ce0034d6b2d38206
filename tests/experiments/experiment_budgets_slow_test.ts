/** Experiments with each kind of budget, and with a sweep that halves. */

import assert from "assert";
import { basename, join } from "path";
import { exists } from "../../common/mod.ts";
import { readRun } from "../../experiments/mod.ts";
import { inFolder } from "../pipeline/training_support.ts";
import {
  experiment,
  experimentFolders,
  ONE_SEED,
  resultsOf,
  runFolders,
  stateIn,
  write,
} from "./experiment_support.ts";

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
