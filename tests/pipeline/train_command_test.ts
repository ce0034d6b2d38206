/** The command `train` as a process: signals, flags of a run that goes on, what is printed. */

import assert from "assert";
import { basename, join } from "path";
import { readRun } from "../../experiments/mod.ts";
import { checkpointSteps } from "../../models/mod.ts";
import { chatgot, ended, inFolder, lastStep, onlyRun, reached, start } from "./training_support.ts";

const TRAIN = ["train", "--config-path", "tiny.yaml"];

Deno.test({
  name: "Ctrl-C saves the state, exits with 130 and says how to go on; what goes on is the same run",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (dir) => {
      const child = start(dir, [...TRAIN, "--max-steps=150", "--checkpoint-interval=50"]);
      await reached(dir, 12, child);
      child.kill("SIGINT");
      const { code, out, err } = await ended(child);
      assert.equal(code, 130, err);
      assert.match(err, /interrupted: the running step ends and the state is saved/);
      const run = onlyRun(dir);
      assert.ok(out.includes(`deno task train --resume runs/${basename(run)}`), out);
      assert.equal((await readRun(run)).status, "interrupted");
      assert.equal((await checkpointSteps(run))[0], lastStep(dir));

      const refused = async (message: RegExp, ...flags: string[]) => {
        const { code, err } = await chatgot(dir, "train", "--resume", basename(run), ...flags);
        assert.equal(code, 1, err);
        assert.match(err, message);
        assert.equal(err.trimEnd().split("\n").length, 1, err);
      };
      await refused(
        /^error: .*training\.batch_size, training\.seed cannot change/,
        "--batch-size=8",
        "--seed=3",
      );
      await refused(/^error: .*has done \d+ steps already, max_steps is 3/, "--max-steps=3");
      const text = await Deno.readTextFile(join(dir, "corpus.txt"));
      await Deno.writeTextFile(
        join(dir, "corpus.txt"),
        text.replaceAll("whale", "squid").replaceAll("q", "h"),
      );
      await refused(/^error: .*was trained on another text/);
      await Deno.writeTextFile(join(dir, "corpus.txt"), text);

      const last = await chatgot(dir, "train", "--resume=auto", "--max-steps=160", "--json");
      assert.equal(last.code, 0, last.err);
      const report = JSON.parse(last.out);
      assert.deepEqual([report.status, report.steps], ["completed", 160]);
      assert.equal(report.run, `runs/${basename(run)}`);
      assert.ok(report.val_loss > 0 && report.best_val_loss > 0 && report.tokens_per_second > 0);

      const again = await chatgot(dir, "train", "--resume", run, "--json");
      assert.deepEqual([again.code, JSON.parse(again.out).val_loss], [0, report.val_loss]);
    }),
});

Deno.test({
  name: "a second Ctrl-C exits at once, without waiting for the step",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (dir) => {
      // A step of some seconds: the state cannot be saved before its end.
      const heavy = ["--set", "model.n_embd=256", "--set", "model.n_positions=128", "--batch-size", "64"];
      const child = start(dir, [...TRAIN, ...heavy]);
      let err = "";
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        const before = err;
        err += text;
        if (!before.includes("Ctrl-C saves") && err.includes("Ctrl-C saves")) child.kill("SIGINT");
        if (!before.includes("interrupted:") && err.includes("interrupted:")) {
          setTimeout(() => child.kill("SIGINT"), 400);
        }
      }
      assert.equal((await child.status).code, 130);
      await child.stdout.cancel();
      assert.equal((await readRun(onlyRun(dir))).status, "interrupted");
      assert.deepEqual(await checkpointSteps(onlyRun(dir)), []);

      // No checkpoint: the run begins again in the same folder.
      const { code, err: told } = await chatgot(
        dir,
        "train",
        "--resume",
        "auto",
        "--max-steps",
        "1",
        "--dry-run",
      );
      assert.equal(code, 0, told);
    }),
});

Deno.test("--dry-run shows what would be trained and makes no run; mistakes are one line", () =>
  inFolder(async (dir) => {
    const shown = await chatgot(dir, ...TRAIN, "--dry-run", "--json", "--learning-rate=0.5", "--name=other");
    assert.equal(shown.code, 0, shown.err);
    const { config, parameters, memory } = JSON.parse(shown.out);
    assert.deepEqual([config.training.learning_rate, config.tracking.name], [0.5, "other"]);
    assert.ok(memory.total > 4 * 4 * parameters);
    const typo = await chatgot(dir, ...TRAIN, "--max-stpes", "3");
    assert.match(typo.err, /did you mean --max-steps/);
    const wrong = await chatgot(dir, ...TRAIN, "--batch-size", "many", "--json");
    assert.equal(wrong.code, 1);
    assert.match(JSON.parse(wrong.out).error.message, /batch_size/);
    assert.equal(JSON.parse(wrong.out).error.file, "--batch-size");
    await assert.rejects(Deno.stat(join(dir, "runs")));
  }));
