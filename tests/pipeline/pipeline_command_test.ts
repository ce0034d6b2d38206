/** The command `pipeline` as a process: what it prints, Ctrl-C, mistakes. And the scripts over the public API. */

import assert from "assert";
import { basename, join } from "path";
import { exists } from "../../common/mod.ts";
import { readRun } from "../../experiments/mod.ts";
import { readState } from "../../pipeline/pipeline_state.ts";
import { withPipeline } from "./pipeline_support.ts";
import { chatgot, ended, onlyRun, reached, start } from "./training_support.ts";

const PIPELINE = ["pipeline", "--config-path", "tiny.yaml"];
const ROOT = join(import.meta.dirname!, "../..");

Deno.test("--dry-run and --status tell and write nothing; mistakes are one clear line", () =>
  withPipeline(async ({ dir, plan }) => {
    const planned = await chatgot(dir, ...PIPELINE, "--dry-run", "--auto-optimize");
    assert.equal(planned.code, 0, planned.err);
    assert.match(planned.out, /^stage +plan +why\nprocess +would run +not done yet\noptimize +would run/);
    assert.equal(await exists(join(dir, "runs")), false);
    assert.equal(await exists(join(dir, "processed")), false);

    const fails = async (message: RegExp, ...args: string[]) => {
      const { code, out, err } = await chatgot(dir, "pipeline", ...args);
      assert.deepEqual([code, out], [1, ""], err);
      assert.match(err, message);
      assert.equal(err.trimEnd().split("\n").length, 1, err);
    };
    await fails(/^error: there is no pipeline yet/, "--status");
    await fails(/^error: .*--stage.*'trian' is invalid.*process, optimize, train/, "--stage", "trian");
    await fails(/^error: --force-restart does again.*--resume/, "--force-restart");
    await fails(/^error: --optimization-time-budget: .*above 0/, "--optimization-time-budget", "0");
    await assert.rejects(plan({ resume: "nowhere" }), { message: "there is no run nowhere" });
    await assert.rejects(plan({ configPath: "none.yaml" }), { message: "no such file or folder" });
    await assert.rejects(plan({ stage: "train" }), /--stage train: process must be done before it/);
    await assert.rejects(
      plan({ set: [{ path: ["training", "max_stpes"], value: 3 }] }),
      /unknown key "max_stpes"/,
    );
    assert.equal(await exists(join(dir, "runs")), false);

    const begun = await chatgot(dir, ...PIPELINE, "--stage", "process", "--quiet");
    assert.equal(begun.code, 0, begun.err);
    const run = onlyRun(dir);
    assert.equal(begun.out, `runs/${basename(run)}\n`);
    const status = await chatgot(dir, "pipeline", "--status");
    assert.match(
      status.out,
      /^stage +status +duration +outputs\nprocess +done +\S+ +processed\/corpus_char_/,
    );
    assert.match(status.out, /\ntrain +waiting +not done yet\n/);
    await Deno.writeTextFile(join(run, "pipeline.json"), '{"format_version": 2}');
    await fails(/^error: .*pipeline\.json: .*format_version/, "--resume", basename(run));
    await Deno.writeTextFile(join(run, "pipeline.json"), '{"format_ver');
    await assert.rejects(plan({ resume: run }), /not valid JSON/);
    await Deno.remove(join(run, "pipeline.json"));
    await assert.rejects(plan({ resume: run }), /was not made by a pipeline/);
  }));

Deno.test({
  name: "Ctrl-C saves the state and exits with 130; meanwhile a second process is turned away",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withPipeline(async ({ dir }) => {
      const child = start(dir, [...PIPELINE, "--set", "training.max_steps=400"]);
      await reached(dir, 6, child);
      const run = onlyRun(dir);
      const second = await chatgot(dir, "pipeline", "--resume", "auto");
      assert.match(second.err, /^error: .*another process runs this pipeline/);
      const shown = await chatgot(dir, "pipeline", "--status", "--json");
      assert.equal(JSON.parse(shown.out).status, "running");
      child.kill("SIGINT");
      const { code, out, err } = await ended(child);
      assert.equal(code, 130, err);
      assert.match(err, /interrupted: what is under way ends and the state is saved/);
      assert.match(out, /\ntrain +interrupted/);
      assert.equal((await readState(run)).stages.train!.status, "interrupted");
      assert.equal((await readRun(run)).status, "interrupted");
    }),
});

Deno.test("scripts/continue_pipeline.ts and scripts/train_with_samples.ts do what they say", () =>
  withPipeline(async ({ dir }) => {
    const script = async (name: string, ...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--allow-all", join(ROOT, "scripts", name), ...args],
        cwd: dir,
        env: { INIT_CWD: dir, NO_COLOR: "1" },
      }).output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert.equal(code, 0, err);
      return out!;
    };
    const first = await script("continue_pipeline.ts", "tiny.yaml");
    assert.match(first, /train: run, not done yet\n[^]*\ngenerate +done/);
    assert.equal((await readRun(onlyRun(dir))).status, "completed");
    const trained = await script("train_with_samples.ts", "tiny.yaml", "10");
    assert.equal(trained.match(/^--- step \d+ ---$/gm)?.length, 5);
    assert.equal(trained.match(/^--- temperature /gm)?.length, 9);
    assert.match(trained, /validation loss \d\.\d+ nats per token after 10 steps/);
  }));
