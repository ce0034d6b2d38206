/** What a training does from its first step to its end, in this thread, with a very small model. */

import assert from "assert";
import { join } from "path";
import { readJsonl, UserError } from "../../common/mod.ts";
import { readRun } from "../../experiments/mod.ts";
import { checkpointPath, checkpointSteps, loadModel } from "../../models/mod.ts";
import type { TrainOptions } from "../../mod.ts";
import { inFolder, measured, trainIn } from "./training_support.ts";

/** Twenty steps and nothing in between, for tests of losses alone. */
const SHORT = { max_steps: 20, checkpoint_interval: 0, eval_interval: 0 };

const events = (run: { dir: string }) => readJsonl(join(run.dir, "events.jsonl"));

Deno.test("train() learns, records the run and returns its model", () =>
  inFolder(async (dir) => {
    const samples: number[] = [];
    const run = await trainIn(dir, {}, { onSample: ({ step }) => samples.push(step) });
    assert.equal(run.status, "completed");
    assert.equal(run.steps, 60);
    assert.equal(run.tokens, 60 * 4 * 16);
    assert.deepEqual(samples, [30, 60]);
    assert.ok(run.val_loss! < 2, `validation loss ${run.val_loss}`);

    const lines = measured(run.dir);
    const trained = lines.filter((line) => "train_loss" in line);
    assert.deepEqual(trained.map(({ step }) => step), Array.from({ length: 60 }, (_, i) => i + 1));
    assert.ok((trained[0]!.train_loss as number) > 2.7); // ln 17 = 2.83 at first
    assert.equal(trained[9]!.learning_rate, 3e-3); // the end of the warmup
    assert.deepEqual(Object.keys(trained[0]!), [
      "step",
      "tokens",
      "train_loss",
      "learning_rate",
      "grad_norm",
    ]);
    const evaluated = lines.filter((line) => "val_loss" in line);
    assert.deepEqual(evaluated.map(({ step }) => step), [20, 40, 60]);
    assert.equal(evaluated[2]!.val_loss, run.val_loss);
    // The text is ASCII, so a token of the character tokenizer is a byte.
    assert.ok(Math.abs(run.val_bits_per_byte! - run.val_loss! / Math.LN2) < 1e-12);
    assert.equal(evaluated[2]!.val_bits_per_byte, run.val_bits_per_byte);

    const record = await readRun(run.dir);
    assert.equal(record.status, "completed");
    assert.equal(record.summary.val_loss, run.val_loss);
    assert.ok(record.parameters! > 20_000 && record.flops_per_token! > 6 * record.parameters! / 2);
    assert.deepEqual(await checkpointSteps(run.dir), [60, 56, 40]); // the newest two and the best
    assert.equal(run.model.step, 60);
    assert.deepEqual((await loadModel(run.dir)).weights, run.model.weights);
  }));

Deno.test("a run that pauses on the way and goes on is the run that does not, bit for bit", () =>
  inFolder(async (dir) => {
    const whole = await trainIn(dir);
    const first = await trainIn(dir, {}, { pause_at: 40, name: "paused" });
    assert.deepEqual([first.status, first.steps], ["interrupted", 40]);
    assert.equal(first.val_loss, (await measured(whole.dir)).findLast((l) => l.step === 40)!.val_loss);
    const second = await trainIn(dir, {}, { resume: first.dir, name: "paused" });
    assert.deepEqual([second.status, second.dir], ["completed", first.dir]);
    assert.deepEqual(second.model.weights, whole.model.weights);
    assert.deepEqual(await measured(second.dir), await measured(whole.dir));
  }));

Deno.test("the same seed gives the same run bit for bit, another one another", () =>
  inFolder(async (dir) => {
    const [a, b, c] = [
      await trainIn(dir, SHORT),
      await trainIn(dir, SHORT),
      await trainIn(dir, { ...SHORT, seed: 2 }),
    ];
    assert.deepEqual(measured(a.dir), measured(b.dir));
    assert.deepEqual(a.model.weights, b.model.weights);
    assert.notEqual(a.train_loss, c.train_loss);
  }));

Deno.test("two accumulated batches of 2 give the losses of a batch of 4, to rounding", () =>
  inFolder(async (dir) => {
    // Window b of step s has the number 4s + b either way; dropout draws by micro-batch, so there is none here.
    const text = (await Deno.readTextFile(join(dir, "tiny.yaml"))).replace("dropout: 0.1", "dropout: 0");
    await Deno.writeTextFile(join(dir, "tiny.yaml"), text);
    const whole = await trainIn(dir, SHORT);
    const halves = await trainIn(dir, { ...SHORT, batch_size: 2, accumulate_grad_batches: 2 });
    const [a, b] = [measured(whole.dir), measured(halves.dir)];
    assert.equal(a.length, b.length);
    a.forEach((line, i) => {
      for (const name of ["train_loss", "grad_norm"]) {
        if (!(name in line)) continue;
        const [x, y] = [line[name] as number, b[i]![name] as number];
        assert.ok(Math.abs(x - y) < 1e-4, `step ${line.step}: ${name} ${x} and ${y}`);
      }
      assert.equal(line.tokens, b[i]!.tokens);
    });
  }));

Deno.test("lines of metrics hold the mean loss since the last one", () =>
  inFolder(async (dir) => {
    const each = measured((await trainIn(dir, SHORT)).dir);
    const every8 = measured((await trainIn(dir, { ...SHORT, log_interval: 8 })).dir);
    const losses = each.filter((line) => "train_loss" in line).map((line) => line.train_loss as number);
    const mean = (part: number[]) => part.reduce((sum, loss) => sum + loss, 0) / part.length;
    assert.deepEqual(
      every8.filter((line) => "train_loss" in line).map(({ step, train_loss }) => [step, train_loss]),
      [[8, mean(losses.slice(0, 8))], [16, mean(losses.slice(8, 16))], [20, mean(losses.slice(16))]],
    );
  }));

Deno.test("a stopped run says so, and goes on as if it had not been stopped", () =>
  inFolder(async (dir) => {
    const whole = await trainIn(dir);
    const stop = new AbortController();
    const stopped = await trainIn(dir, {}, {
      name: "stopped",
      signal: stop.signal,
      onProgress: ({ step }) => step >= 20 && stop.abort(),
    });
    assert.equal(stopped.status, "interrupted");
    assert.ok(stopped.steps >= 20 && stopped.steps < 60, `stopped after ${stopped.steps}`);
    assert.equal((await readRun(stopped.dir)).status, "interrupted");
    const goesOn = await trainIn(dir, {}, { name: "stopped", resume: "auto" });
    assert.equal(goesOn.dir, stopped.dir);
    assert.equal(goesOn.status, "completed");
    assert.deepEqual(measured(goesOn.dir), measured(whole.dir));
    assert.deepEqual(goesOn.model.weights, whole.model.weights);
    await assert.rejects(trainIn(dir, {}, { name: "stopped", resume: "auto" }), /come to its end/);
  }));

Deno.test("a run goes on from the newest whole checkpoint, and not at all when all are broken", () =>
  inFolder(async (dir) => {
    const whole = await trainIn(dir, SHORT);
    const run = await trainIn(dir, { ...SHORT, checkpoint_interval: 6 }, { name: "broken" });
    const breakOne = (step: number) =>
      Deno.truncateSync(join(checkpointPath(run.dir, step), "model.safetensors"), 1000);
    const record = join(run.dir, "run.json"); // as if it had been killed
    Deno.writeTextFileSync(record, Deno.readTextFileSync(record).replace('"completed"', '"running"'));
    breakOne(20);
    const warnings: string[] = [];
    const again = await trainIn(dir, { ...SHORT, checkpoint_interval: 6 }, {
      name: "broken",
      resume: "auto",
      warn: (line) => warnings.push(line),
    });
    assert.match(warnings[0]!, /checkpoint of step 20 is passed over: .*checksum/);
    assert.deepEqual((await readRun(run.dir)).resumed.map(({ step }) => step), [18]);
    assert.deepEqual(again.model.weights, whole.model.weights);
    Deno.writeTextFileSync(record, Deno.readTextFileSync(record).replace('"completed"', '"running"'));
    (await checkpointSteps(run.dir)).forEach(breakOne);
    await assert.rejects(
      trainIn(dir, { ...SHORT, checkpoint_interval: 6 }, { name: "broken", resume: "auto" }),
      /has no whole checkpoint to go on from/,
    );
    assert.deepEqual(await checkpointSteps(run.dir), [20, 18]);
  }));

Deno.test("a loss that is not finite stops the run, with the step and the tensor named", () =>
  inFolder(async (dir) => {
    const run = join(dir, "runs");
    await assert.rejects(
      trainIn(dir, { learning_rate: 1e30, warmup_steps: 0, checkpoint_interval: 1 }),
      (error) => {
        assert.ok(error instanceof UserError);
        assert.match(
          error.message,
          /^step \d+: .*(NaN|Infinity); first seen in the (parameter|gradient of) \S+/,
        );
        return true;
      },
    );
    const [{ name }] = Array.from(Deno.readDirSync(run)) as [Deno.DirEntry];
    const failed = { dir: join(run, name) };
    assert.equal((await readRun(failed.dir)).status, "failed");
    const told = (await events(failed)).find(({ type, tensor }) =>
      type === "not_finite" && tensor !== undefined
    );
    assert.ok(told !== undefined);
    const { weights } = await loadModel(failed.dir);
    for (const [tensor, { data }] of weights) assert.ok(data.every(Number.isFinite), tensor);
  }));

Deno.test("training stops early when evaluations no longer get better", () =>
  inFolder(async (dir) => {
    // A learning rate that is next to nothing: the first evaluations decide, and rounding at best gets better.
    const run = await trainIn(dir, {
      learning_rate: 1e-20,
      eval_interval: 5,
      early_stopping_patience: 2,
    });
    assert.equal(run.early_stopped, true);
    assert.equal(run.status, "completed");
    assert.equal(run.steps, 15);
    assert.equal(run.best!.step, 5);
    assert.ok((await events(run)).some(({ type }) => type === "early_stopped"));
    assert.ok((await checkpointSteps(run.dir)).includes(15));
  }));

Deno.test("a checkpoint that cannot be written costs a warning in between, and the run at its end", () =>
  inFolder(async (dir) => {
    const warnings: string[] = [];
    let run = "";
    /** Puts a file where the folder of checkpoints should be, and takes it away again. */
    const block = (isBlocked: boolean) => {
      const folder = join(run, "checkpoints");
      if (isBlocked) {
        Deno.removeSync(folder, { recursive: true });
        Deno.writeTextFileSync(folder, "");
      } else Deno.removeSync(folder);
    };
    const watch = (blockAt: number, freeAt: number) => ({
      warn: (line: string) => warnings.push(line),
      onProgress: ({ step, doing }: { step: number; doing: string | null }) => {
        if (doing !== "checkpoint") return;
        const [newest] = Array.from(Deno.readDirSync(join(dir, "runs")), ({ name }) => name).sort().reverse();
        run = join(dir, "runs", newest!);
        if (step === blockAt) block(true);
        if (step === freeAt) block(false);
      },
    });
    const intervals = { max_steps: 30, checkpoint_interval: 10, eval_interval: 0, sample_interval: 0 };
    const ended = await trainIn(dir, intervals, { name: "a", ...watch(10, 20) });
    assert.equal(ended.status, "completed");
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0]!,
      /checkpoint of step 10 is not written: .*file stands where a folder should be/,
    );
    assert.deepEqual(await checkpointSteps(ended.dir), [30, 20]);
    await assert.rejects(
      trainIn(dir, intervals, { name: "b", ...watch(10, -1) }),
      /weights of step 30 could not be saved: a file stands where a folder should be/,
    );
    assert.equal((await readRun(run)).status, "failed");
  }));

Deno.test("what cannot be trained is refused before a run is made", () =>
  inFolder(async (dir) => {
    const rejects = (options: TrainOptions, message: RegExp) =>
      assert.rejects(
        trainIn(dir, options.training, options),
        (error) => error instanceof UserError && message.test(error.describe()),
      );
    await rejects(
      { training: { batch_size: 2 ** 27 } },
      /would take .* of memory, there is at most/,
    );
    await rejects({ training: { accumulate_grad_batches: 1000 } }, /accumulate_grad_batches/);
    await rejects({ model: join(dir, "none.yaml") }, /none\.yaml/);
    await rejects({ resume: "nowhere" }, /there is no run nowhere/);
    const long = (await Deno.readTextFile(join(dir, "tiny.yaml"))).replace(
      "n_positions: 16",
      "n_positions: 9999",
    );
    await Deno.writeTextFile(join(dir, "long.yaml"), long);
    await rejects(
      { model: join(dir, "long.yaml") },
      /corpus is shorter than the context: .* needs at least 10000/,
    );
    await Deno.writeTextFile(join(dir, "runs"), "a file");
    await rejects({}, /file stands where a folder should be/);
  }));
