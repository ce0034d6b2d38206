/** A whole search: killed on the way and gone on with, its choice used and kept by the training that follows. */

import assert from "assert";
import { basename, join } from "path";
import { readJson, readJsonl } from "../../common/mod.ts";
import { readRun } from "../../experiments/mod.ts";
import { checkpointSteps } from "../../models/mod.ts";
import type { SearchReport } from "../../pipeline/optimize/search.ts";
import { latestPipeline, readState } from "../../pipeline/pipeline_state.ts";
import { finalState, STEPS, withPipeline } from "./pipeline_support.ts";
import { chatgot, ended, start } from "./training_support.ts";

Deno.test("a search that is killed begins again; its choice is trained with, through kills, bit for bit", () =>
  withPipeline(async ({ dir, edit }) => {
    await edit(
      "tiny.yaml",
      (text) => text.replace("batch_size: 4", "batch_size: 2\n  accumulate_grad_batches: 2"),
    );
    const runsDir = join(dir, "runs");
    const trials = async () => {
      const names = Array.from(Deno.readDirSync(runsDir), ({ name }) => name).filter((name) =>
        /_trial_/.test(name)
      );
      return await Promise.all(names.map((name) => readRun(join(runsDir, name))));
    };
    const killedWhen = async (args: string[], isReached: () => Promise<boolean>) => {
      const child = start(dir, ["pipeline", "--config-path", "tiny.yaml", "--quiet", ...args]);
      let hasEnded = false;
      child.status.then(() => hasEnded = true);
      while (!hasEnded && !await isReached().catch(() => false)) await new Promise((r) => setTimeout(r, 5));
      child.kill("SIGKILL");
      assert.equal((await ended(child)).err, "");
    };
    await killedWhen(["--optimization-time-budget", "3600"], async () => (await trials()).length >= 2);
    const run = (await latestPipeline(runsDir))!;
    assert.equal((await readState(run)).stages.optimize!.status, "running");
    const resume = ["--resume", "auto"];
    await killedWhen(
      resume,
      async () => (await readJsonl(join(run, "metrics.jsonl"))).some(({ step }) => Number(step) >= 12),
    );
    const report = await readJson(join(run, "artifacts/optimization.json")) as SearchReport;
    const last = await chatgot(dir, "pipeline", "--config-path", "tiny.yaml", "--json", ...resume);
    assert.equal(last.code, 0, last.err);
    assert.deepEqual(await readJson(join(run, "artifacts/optimization.json")), report);

    // The evidence: all ways to cut a step, settings by halving, each trial a run.
    assert.equal(report.tokens_per_step, 2 * 2 * 16);
    for (const { batch_size, accumulate_grad_batches } of report.batches) {
      assert.equal(batch_size * accumulate_grad_batches, 4);
    }
    assert.deepEqual(report.rungs, [STEPS / 2, STEPS]); // no trial is longer than the training
    assert.deepEqual(report.candidates.map(({ losses }) => losses.length).sort(), [1, 1, 2, 2]);
    const { choice } = report;
    const size = Number(choice["training.batch_size"]) * Number(choice["training.accumulate_grad_batches"]);
    assert.equal(size, 4);
    const chosen = report.candidates.find((each) =>
      each.learning_rate === choice["training.learning_rate"] &&
      each.weight_decay === choice["training.weight_decay"] &&
      each.warmup_steps === choice["training.warmup_steps"]
    )!;
    const finals = report.candidates.flatMap(({ losses }) => losses[1] ?? []);
    assert.equal(chosen.losses[1], Math.min(...finals));
    const tracked = await trials();
    for (const { id, parents } of tracked) {
      assert.deepEqual(parents, [basename(run)]);
      assert.deepEqual(await checkpointSteps(join(runsDir, id)), []); // nor of those that were killed
    }
    const named = [...report.batches, ...report.candidates].map(({ run }) => run);
    assert.ok(named.every((name) => tracked.some(({ id, status }) => id === name && status === "completed")));

    // The training used the choice, and is the one that these values give without a search.
    const peak = Math.max(
      ...(await readJsonl(join(run, "metrics.jsonl"))).flatMap((line) => Number(line.learning_rate ?? 0)),
    );
    assert.equal(peak, choice["training.learning_rate"]);
    const settings = Object.entries(choice).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
    const plain = await chatgot(dir, "train", "--config-path", "tiny.yaml", "--json", ...settings);
    assert.equal(plain.code, 0, plain.err);
    assert.deepEqual(finalState(run), finalState(join(dir, JSON.parse(plain.out).run)));
  }));
