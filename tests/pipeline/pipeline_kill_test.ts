/** Pipelines that are killed, with real processes and SIGKILL, end as one that nothing disturbed. */

import assert from "assert";
import { join } from "path";
import { readRun } from "../../experiments/mod.ts";
import { type PipelineState, readState } from "../../pipeline/pipeline_state.ts";
import { finalState, reachedState, undisturbedState, withPipeline } from "./pipeline_support.ts";
import { chatgot, ended, lastStep, onlyRun, reached, start } from "./training_support.ts";

const PIPELINE = ["pipeline", "--config-path", "tiny.yaml", "--quiet"];

const isDone = (stage: "process" | "train" | "evaluate") => (state: PipelineState) =>
  state.stages[stage]?.status === "done";

Deno.test("killed after each stage and inside train, it ends as one that was not", () =>
  withPipeline(async ({ dir }) => {
    const run = () => onlyRun(dir);
    const resume = [...PIPELINE, "--resume", "auto"];
    const killedWhen = async (args: string[], wait: (child: Deno.ChildProcess) => Promise<void>) => {
      const child = start(dir, args);
      await wait(child);
      child.kill("SIGKILL");
      const { err } = await ended(child);
      assert.equal(err, "");
    };
    await killedWhen(PIPELINE, (child) => reachedState(run, child, isDone("process")));
    await killedWhen(resume, (child) => reached(dir, 3, child)); // before the first checkpoint
    assert.equal((await readState(run())).stages.train!.status, "running");
    await killedWhen(resume, async (child) => {
      await reachedState(run, child, () => lastStep(dir) < 3);
      await reached(dir, 12, child);
    });
    await killedWhen(resume, (child) => reachedState(run, child, isDone("train")));
    await killedWhen(resume, (child) => reachedState(run, child, isDone("evaluate")));
    const before = await readState(run());
    const shown = JSON.parse((await chatgot(dir, "pipeline", "--status", "--json")).out);
    assert.deepEqual(
      shown.stages.slice(0, 4).map(({ status }: { status: string }) => status),
      ["done", "skipped", "done", "done"],
    );
    const last = await chatgot(dir, ...resume);
    assert.equal(last.code, 0, last.err);
    const state = await readState(run());
    assert.equal(state.stages.generate!.status, "done");
    // What was done before the kill was not done again.
    for (const stage of ["process", "train", "evaluate"] as const) {
      assert.deepEqual(state.stages[stage], before.stages[stage], stage);
    }
    assert.deepEqual(finalState(run()), await undisturbedState());
    assert.equal((await readRun(run())).status, "completed");
    assert.ok(await Deno.stat(join(run(), "artifacts/generation.json")));
  }));
