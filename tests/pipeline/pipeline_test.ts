/** What the pipeline does and does not do again: after damage, after edits, when asked. */

import assert from "assert";
import { join } from "path";
import { exists, readJson, readJsonl, UserError } from "../../common/mod.ts";
import { readRun } from "../../experiments/mod.ts";
import { checkpointPath, checkpointSteps } from "../../models/mod.ts";
import type { PipelineRequest } from "../../pipeline/pipeline_plan.ts";
import { readState } from "../../pipeline/pipeline_state.ts";
import {
  damage,
  doneStages,
  finalState,
  type PipelineFolder,
  STEPS,
  undisturbedState,
  withPipeline,
} from "./pipeline_support.ts";

const ALL = ["process", "train", "evaluate", "generate"];

Deno.test("a whole pipeline: what it makes, and what is done again after damage and edits", () =>
  withPipeline(async (folder) => {
    const { run } = folder;
    const first = await run();
    const resume = first.run;
    assert.deepEqual([doneStages(first), first.status], [ALL, "completed"]);
    assert.deepEqual(finalState(resume), await undisturbedState());
    await checkArtifacts(resume);
    assert.equal(first.stages[2]!.result.val_loss, first.stages[3]!.result.loss);
    await checkDamage(folder, resume);
    await checkEdits(folder, resume);
  }));

/** What the artifacts say is what the trainer said of the same model. */
async function checkArtifacts(run: string): Promise<void> {
  const evaluation = await readJson(join(run, "artifacts/evaluation.json")) as Record<string, unknown>;
  const { summary } = await readRun(run);
  assert.equal(evaluation.loss, summary.val_loss);
  assert.equal(evaluation.bits_per_byte, summary.val_bits_per_byte);
  assert.deepEqual([evaluation.step, evaluation.split, evaluation.data], [STEPS, "val", "corpus"]);
  const { prompt, samples } = await readJson(join(run, "artifacts/generation.json")) as {
    prompt: string;
    samples: { text: string; tokens: number }[];
  };
  assert.deepEqual([prompt, samples.length, samples[0]!.tokens], ["the ", 1, 6]);
  const [sample] = await readJsonl(join(run, "samples.jsonl"));
  assert.equal(samples[0]!.text, sample!.text);
}

/** What is missing or damaged is done again, and nothing else, since that gives the same. */
async function checkDamage({ run, plan }: PipelineFolder, resume: string): Promise<void> {
  const before = finalState(resume);
  const [tokens] = Object.keys((await readState(resume)).stages.process!.outputs);
  const generation = join(resume, "artifacts", "generation.json");
  await Deno.remove(generation);
  await damage(tokens!);
  const { stages } = await plan({ resume });
  assert.match(stages[0]!.why, /tokens\.bin is damaged$/);
  assert.match(stages[4]!.why, /generation\.json is missing$/);
  assert.deepEqual(doneStages(await run({ resume })), ["process", "generate"]);
  assert.ok(await exists(generation));

  // The last checkpoint is broken: training goes on from the one before it.
  await damage(join(checkpointPath(resume, STEPS), "model.safetensors"));
  assert.deepEqual(doneStages(await run({ resume })), ["train"]);
  assert.deepEqual(finalState(resume), before);
  assert.equal((await readRun(resume)).resumed.at(-1)!.step, 20);

  // All are: it begins anew.
  for (const step of await checkpointSteps(resume)) {
    await damage(join(checkpointPath(resume, step), "model.safetensors"));
  }
  const warnings: string[] = [];
  assert.deepEqual(doneStages(await run({ resume }, { onWarning: (line) => warnings.push(line) })), [
    "train",
  ]);
  assert.deepEqual(finalState(resume), before);
  assert.match(warnings.join("\n"), /training begins anew/);
}

/** An edited configuration redoes exactly what depends on it, and then gives what a new run would. */
async function checkEdits({ dir, run, plan, edit }: PipelineFolder, resume: string): Promise<void> {
  assert.deepEqual(doneStages(await plan({ resume })), []);
  const later = "train evaluate generate";
  const expected: [string, unknown, string][] = [
    ["data.lowercase", true, `process ${later}`],
    ["data.split_ratio", 0.8, `process ${later}`],
    ["data.shuffle", false, later],
    ["model.n_embd", 32, later],
    ["training.learning_rate", 1e-3, later],
    ["training.seed", 2, later],
    ["training.max_steps", 10, later],
    ["training.max_seq_length", 8, later],
    ["training.early_stopping_patience", 3, later],
    ["generation.temperature", 0.5, "generate"],
    ["generation.prompt", "call ", "generate"],
    ["training.log_interval", 2, ""],
    ["training.checkpoint_interval", 3, ""],
    ["training.eval_interval", 3, ""],
    ["tracking.name", "other", ""],
  ];
  for (const [key, value, stages] of expected) {
    const report = await plan({ resume, set: [{ path: key.split("."), value }] });
    assert.equal(doneStages(report).join(" "), stages, key);
  }
  const { stages } = await plan({ resume, set: [{ path: ["training", "seed"], value: 2 }] });
  assert.equal(stages[2]!.why, "training.seed: 1 → 2");

  // The run's own config.yaml is edited; a comment in it stays.
  const config = join(resume, "config.yaml");
  await edit(config, (text) => "# mine\n" + text.replace("learning_rate: 0.003", "learning_rate: 0.002"));
  assert.deepEqual(doneStages(await run({ resume, stage: "train" })), ["train"]);
  assert.deepEqual(doneStages(await plan({ resume })), ["evaluate", "generate"]);
  assert.match(await Deno.readTextFile(config), /^# mine\n/);
  assert.equal((await checkpointSteps(resume))[0], STEPS);
  assert.ok(await exists(join(resume, "checkpoints.discarded", "step_00000024")));
  assert.equal((await readJsonl(join(resume, "metrics.jsonl"))).filter((line) => line.step === 3).length, 1);
  // What was derived from the old one stands in the file, too, and stays.
  const flags = { "training.learning_rate": 0.002, "training.min_learning_rate": 0.0003 };
  const fresh = await run({ stage: "process", flags });
  await run({ resume: fresh.run, stage: "train" });
  assert.deepEqual(finalState(resume), finalState(fresh.run));

  // A file that is given again counts as it is, and nothing of before: learning_rate is 0.003 there.
  const given = await plan({ resume, configPath: join(dir, "tiny.yaml") });
  assert.deepEqual(doneStages(given), ["train", "evaluate", "generate"]);
}

Deno.test("--stage, --skip-process and --force-restart do what they say", () =>
  withPipeline(async ({ dir, run, plan, edit }) => {
    const rejects = (request: PipelineRequest, message: RegExp) =>
      assert.rejects(run(request), (error) => {
        assert.ok(error instanceof UserError, String(error));
        assert.match(error.describe(), message);
        return true;
      });
    await rejects({ skipProcess: true }, /there is no prepared dataset of corpus with these settings/);

    const { run: resume, status } = await run({ stage: "process" });
    assert.equal(status, "partial");
    assert.deepEqual(Object.keys((await readState(resume)).stages), ["process"]);
    assert.equal((await readRun(resume)).status, "created");
    await rejects(
      { resume, stage: "generate" },
      /--stage generate: train must be done before it \(not done yet\)/,
    );
    await rejects(
      { resume, stage: "process", skipProcess: true },
      /--skip-process contradicts --stage process/,
    );
    assert.deepEqual(doneStages(await plan({ resume })), ["train", "evaluate", "generate"]);
    assert.deepEqual(doneStages(await run({ resume, stage: "train" })), ["train"]);
    assert.deepEqual(doneStages(await run({ resume, stage: "train" })), []);
    assert.deepEqual(doneStages(await run({ resume, stage: "generate" })), ["generate"]);

    assert.deepEqual(doneStages(await plan({ resume, stage: "generate", forceRestart: true })), ["generate"]);
    assert.deepEqual(doneStages(await plan({ resume, forceRestart: true })), ALL);
    assert.deepEqual(doneStages(await run({ resume, stage: "train", forceRestart: true })), ["train"]);
    assert.deepEqual(finalState(resume), await undisturbedState());
    assert.deepEqual((await readRun(resume)).resumed.map(({ step }) => step), [0]);

    // With --skip-process, a text that has changed or is gone does not matter.
    await edit("corpus.txt", (text) => text.replaceAll("whale", "squid"));
    assert.deepEqual(doneStages(await plan({ resume })), ALL);
    assert.deepEqual(doneStages(await plan({ resume, skipProcess: true })), ["evaluate"]);
    await Deno.remove(join(dir, "corpus.txt"));
    assert.deepEqual(doneStages(await plan({ resume, skipProcess: true })), ["evaluate"]);
    await rejects({ resume }, /corpus\.txt/);
    const [tokens] = Object.keys((await readState(resume)).stages.process!.outputs);
    await damage(tokens!);
    await rejects({ resume, skipProcess: true }, /--skip-process: .*tokens\.bin is damaged/);
  }));
