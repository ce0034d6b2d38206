/** A disk that fills up in the middle of an experiment: one clear error, finished work kept, and the rest done later. */

import assert from "assert";
import { join } from "path";
import { UserError } from "../../common/mod.ts";
import { createRun, latestRun, readRun, reserveRun, resumeRun } from "../../experiments/mod.ts";
import { readExperiment } from "../../experiments/runner/experiment_config.ts";
import { planExperiment } from "../../experiments/runner/experiment_plan.ts";
import { createExperiment, readState } from "../../experiments/runner/experiment_state.ts";
import { runExperiment, Stopper } from "../../experiments/runner/run_experiment.ts";
import type { RunStore } from "../../pipeline/mod.ts";
import { withGpu } from "../gpu/support.ts";
import { inFolder } from "../pipeline/training_support.ts";
import { SMALL, write } from "./experiment_support.ts";

const DISK: RunStore = { createRun, latestRun, readRun, reserveRun, resumeRun };

/** Runs whose lines go to a full disk, all but the first. */
function filling(): RunStore {
  let begun = 0;
  return {
    ...DISK,
    async createRun(description, options) {
      if (begun++ === 0) return await createRun(description, options);
      const dir = await reserveRun(description);
      const events = join(dir, "events.jsonl");
      await Deno.remove(events);
      await Deno.symlink("/dev/full", events); // every write to it finds the disk full
      return await resumeRun(dir, 0, { ...options, training: description });
    },
  };
}

Deno.test({
  name:
    "a full disk ends the experiment with one error; what was finished is kept, and the run with gaps is done again",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      await write(folder, SMALL.replace("2600", "640").replace("seeds: [1, 2]", "seeds: [1]"));
      const set = ["corpus.txt", "processed"].map((name, i) => ({
        path: ["data", ["corpus", "processed_dir"][i]!],
        value: join(folder, name),
      }));
      const runs_dir = join(folder, "runs");
      const file = await readExperiment(join(folder, "experiment.yaml"), [
        ...set,
        { path: ["output", "runs_dir"], value: runs_dir },
      ]);
      const plan = await withGpu({}, (gpu) => planExperiment(file, gpu));
      const { dir, state } = await createExperiment(runs_dir, plan, new Date());
      const warnings: string[] = [];
      const hooks = { onRun() {}, onProgress() {}, warn: (line: string) => void warnings.push(line) };
      await assert.rejects(
        runExperiment({ plan, dir, state, runs: filling(), stopper: new Stopper(), hooks }),
        (error) => {
          assert.ok(error instanceof UserError);
          assert.match(
            error.describe(),
            /^[^\n]*the disk is full; 1 finished run is kept \(free some space and give the same command/,
          );
          return true;
        },
      );
      assert.equal(warnings.length, 1, warnings.join("\n"));
      const left = await readState(dir);
      assert.equal(left.status, "interrupted");
      assert.deepEqual(left.runs.map(({ status, run }) => [status, run === null]), [["completed", false], [
        "pending",
        true,
      ]]);

      await runExperiment({ plan, dir, state: left, runs: DISK, stopper: new Stopper(), hooks });
      assert.deepEqual(left.runs.map(({ status }) => status), ["completed", "completed"]);
      assert.equal((await readRun(join(runs_dir, left.runs[0]!.run!))).resumed.length, 0);
    }),
});
