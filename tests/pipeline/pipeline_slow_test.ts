/** More of what the pipeline does again: with more steps, another initial model, another text; after a signal and a failure. */

import assert from "assert";
import { readRun } from "../../experiments/mod.ts";
import { checkpointSteps } from "../../models/mod.ts";
import { readState } from "../../pipeline/pipeline_state.ts";
import { doneStages, finalState, STEPS, undisturbedState, withPipeline } from "./pipeline_support.ts";

Deno.test("more steps go on from the last checkpoint; another initial model or text redoes what reads it", () =>
  withPipeline(async ({ run, plan, edit }) => {
    const { run: resume } = await run({ stage: "process" });
    await run({ resume, stage: "train" });
    const tuning = { flags: { "training.init_from": resume, "training.max_steps": 2 } };
    const { run: tuned } = await run({ stage: "process", ...tuning });
    await run({ resume: tuned, stage: "train" });
    assert.equal((await plan({ resume: tuned })).stages[2]!.action, "keep");
    const more = await run({ resume, stage: "train", flags: { "training.max_steps": STEPS + 6 } });
    assert.deepEqual(doneStages(more), ["train"]);
    assert.deepEqual((await readRun(resume)).resumed.map(({ step }) => step), [STEPS]);
    assert.equal((await checkpointSteps(resume))[0], STEPS + 6);
    const { stages } = await plan({ resume: tuned });
    assert.equal(stages[2]!.why, "the model that training begins with changed");
    await edit("corpus.txt", (text) => text.replaceAll("whale", "squid"));
    const all = await plan({ resume });
    assert.deepEqual(doneStages(all), ["process", "train", "evaluate", "generate"]);
    assert.equal(all.stages[0]!.why, "the text changed");
  }));

Deno.test("a signal ends the pipeline with its state saved; a stage that fails is told and can be mended", () =>
  withPipeline(async ({ run, plan }) => {
    const stop = new AbortController();
    const stopped = await run({ signal: stop.signal }, {
      onTrainingProgress: ({ step }) => step >= 8 && stop.abort(),
    });
    assert.equal(stopped.status, "interrupted");
    const statuses = stopped.stages.map(({ status }) => status);
    assert.deepEqual(statuses, ["done", "skipped", "interrupted", "waiting", "waiting"]);
    const resume = stopped.run;
    assert.equal((await readState(resume)).stages.train!.status, "interrupted");

    await assert.rejects(
      run({ resume, flags: { "training.learning_rate": 1e30 } }),
      /loss is|gradient's norm is/,
    );
    const failed = (await plan({ resume })).stages[2]!;
    assert.equal(failed.status, "failed");
    assert.match(failed.why, /^failed before: .*(loss is|gradient's norm is)/);
    await run({ resume, stage: "train", flags: { "training.learning_rate": 0.003 } });
    assert.deepEqual(finalState(resume), await undisturbedState());
  }));
