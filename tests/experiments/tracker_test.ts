/** The run folder: naming, content, crashes, resuming, and what goes wrong without stopping a run. */

import assert from "assert";
import * as path from "path";
import { readJson, readJsonl, sha256, UserError } from "../../common/mod.ts";
import {
  createRun,
  latestRun,
  readLines,
  readRun,
  reserveRun,
  resumeRun,
  updateRunSync,
} from "../../experiments/mod.ts";
import type { RunDescription } from "../../pipeline/recorder.ts";

/** Runs a test with a folder for runs that is removed afterwards. */
async function withRuns(
  test: (describe: (change?: Partial<RunDescription>) => RunDescription) => Promise<void>,
) {
  const runs_dir = await Deno.makeTempDir();
  const usual = {
    runs_dir,
    config_name: "tiny",
    config_yaml: "model:\n  n_layer: 4\n",
    seed: 1337,
    adapter: "llvmpipe (LLVM 15.0.6, 512 bits)",
    kernel_choices: { matmul: "16x8" },
  };
  try {
    await test((change = {}) => ({ ...usual, ...change }));
  } finally {
    await Deno.remove(runs_dir, { recursive: true });
  }
}

/** A clock that stands at this time. */
const at = (time: string) => ({ now: () => new Date(time) });

const NOON = at("2026-11-24T12:00:00.000Z");

Deno.test("createRun() makes the folder with all that identifies the run", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe({ name: "first try", tags: ["a", "b"], notes: "try" }), NOON);
    assert.equal(path.basename(run.dir), "tiny_20261124_120000");
    const names = Array.from(Deno.readDirSync(run.dir), (entry) => entry.name).sort();
    assert.deepEqual(names, [
      ".lock",
      "artifacts",
      "checkpoints",
      "config.yaml",
      "events.jsonl",
      "metrics.jsonl",
      "run.json",
      "samples.jsonl",
      "system.jsonl",
    ]);
    assert.equal(await Deno.readTextFile(path.join(run.dir, "config.yaml")), "model:\n  n_layer: 4\n");
    const record = await readRun(run.dir);
    assert.equal(record.id, "tiny_20261124_120000");
    assert.equal(record.name, "first try");
    assert.equal(record.config_name, "tiny");
    assert.deepEqual([record.format_version, record.parents, record.tags, record.notes], [
      2,
      [],
      ["a", "b"],
      "try",
    ]);
    assert.deepEqual(record.config, { model: { n_layer: 4 } });
    assert.equal(record.config_digest, sha256("model:\n  n_layer: 4\n"));
    assert.equal(record.status, "running");
    assert.equal(record.created, "2026-11-24T12:00:00.000Z");
    assert.equal(record.ended, null);
    assert.equal(record.seed, 1337);
    assert.equal(record.pid, Deno.pid);
    assert.equal(record.versions.deno, Deno.version.deno);
    assert.deepEqual(record.kernel_choices, { matmul: "16x8" });
    run.finish("completed", { val_loss: 1.8 });
  }));

Deno.test("finish() writes the status, the time and the summary; later lines are dropped", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe(), NOON);
    run.metrics({ step: 1, tokens: 768, train_loss: 4 });
    run.finish("interrupted", { train_loss: 4 });
    run.metrics({ step: 2, tokens: 1536, train_loss: 3 });
    run.finish("completed", {});
    const record = await readRun(run.dir);
    assert.equal(record.status, "interrupted");
    assert.equal(record.ended, "2026-11-24T12:00:00.000Z");
    assert.deepEqual(record.summary, { train_loss: 4 });
    assert.equal(readLines(run.dir, "metrics").length, 1);
  }));

Deno.test("metrics, samples and events are lines with step and time", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe(), NOON);
    run.metrics({ step: 10, tokens: 7680, train_loss: 2.5, learning_rate: 1e-3 });
    run.sample({ step: 10, prompt: "Call me ", text: "Ishmael.\n" });
    run.event({ type: "checkpoint", step: 10, folder: "checkpoints/step_00000010" });
    run.finish("completed", {});
    const time = "2026-11-24T12:00:00.000Z";
    const lines = (name: string) => readJsonl(path.join(run.dir, name));
    assert.deepEqual(readLines(run.dir, "metrics"), [
      { step: 10, time, tokens: 7680, train_loss: 2.5, learning_rate: 1e-3 },
    ]);
    assert.deepEqual(await lines("samples.jsonl"), [
      { step: 10, time, prompt: "Call me ", text: "Ishmael.\n" },
    ]);
    assert.deepEqual(await lines("events.jsonl"), [
      { type: "started", step: 0, time },
      { type: "checkpoint", step: 10, time, folder: "checkpoints/step_00000010" },
      { type: "ended", step: 10, time, status: "completed" },
    ]);
    assert.deepEqual(await lines("system.jsonl"), []); // nobody asked for looks at the machine
  }));

Deno.test("a run that is to be monitored has a line of system.jsonl from its beginning, and its sums at the end", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe({ monitor_interval: 5 }), NOON);
    const lines = () => readJsonl(path.join(run.dir, "system.jsonl"));
    const [first] = await lines();
    assert.deepEqual([first?.step, first?.time], [0, "2026-11-24T12:00:00.000Z"]);
    assert.ok(Number(first?.process_rss_bytes) > 1e6);
    run.finish("interrupted", { tokens: 5 });
    const { summary } = await readRun(run.dir);
    assert.deepEqual([summary.tokens, summary.process_rss_peak_bytes], [5, first?.process_rss_bytes]);

    const resumed = await resumeRun(run.dir, 0, { ...NOON, training: describe({ monitor_interval: 5 }) });
    resumed.finish("completed", {});
    assert.equal((await lines()).length, 2);
  }));

Deno.test("NaN and Infinity are written as null, with an event", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe(), NOON);
    run.metrics({ step: 3, tokens: 9, train_loss: NaN, grad_norm: Infinity, learning_rate: 0.1 });
    run.finish("failed", {});
    const [line] = readLines(run.dir, "metrics");
    assert.equal(line?.train_loss, null);
    assert.equal(line?.grad_norm, null);
    const [, event] = await readJsonl(path.join(run.dir, "events.jsonl"));
    assert.equal(event?.type, "not_finite");
    assert.equal(event?.step, 3);
    assert.deepEqual(event?.values, { train_loss: "NaN", grad_norm: "Infinity" });
  }));

Deno.test("runs that begin in the same second get _2, _3, … also when they race", () =>
  withRuns(async (describe) => {
    const runs = await Promise.all(Array.from({ length: 5 }, () => createRun(describe(), NOON)));
    const names = runs.map((run) => path.basename(run.dir)).sort();
    const base = "tiny_20261124_120000";
    assert.deepEqual(names, [base, `${base}_2`, `${base}_3`, `${base}_4`, `${base}_5`]);
    runs.forEach((run) => run.finish("completed", {}));
  }));

Deno.test("a configuration's name becomes a folder's name that every file system takes", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe({ config_name: "../my model: größer" }), NOON);
    assert.equal(path.basename(run.dir), "my_model__größer_20261124_120000");
    assert.equal(path.dirname(run.dir), describe().runs_dir);
    run.finish("completed", {});
  }));

Deno.test("a file where the runs' folder or the run's folder should be is a user's error", () =>
  withRuns(async (describe) => {
    const { runs_dir } = describe();
    const file = path.join(runs_dir, "runs");
    await Deno.writeTextFile(file, "");
    await assert.rejects(createRun(describe({ runs_dir: file }), NOON), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.describe(), /a file stands where a folder should be/);
      return true;
    });
    await Deno.writeTextFile(path.join(runs_dir, "tiny_20261124_120000"), "");
    await assert.rejects(createRun(describe(), NOON), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.describe(), /tiny_20261124_120000: a file stands where the run's folder should be/);
      return true;
    });
  }));

Deno.test("a process that is killed leaves every line that it has reported", () =>
  withRuns(async (describe) => {
    const script = `
      import { createRun } from "${import.meta.resolve("../../experiments/mod.ts")}";
      const run = await createRun(${JSON.stringify(describe())});
      console.log(run.dir);
      for (let step = 1; step <= 100; step++) run.metrics({ step, tokens: step, train_loss: 1 / step });
      console.log("written");
      setInterval(() => {}, 1000);`;
    const file = path.join(describe().runs_dir, "train.ts");
    await Deno.writeTextFile(file, script);
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--allow-all",
        "--config",
        path.join(import.meta.dirname!, "../../deno.json"),
        file,
      ],
      stdout: "piped",
    }).spawn();
    let out = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      out += chunk;
      if (out.includes("written")) child.kill("SIGKILL");
    }
    await child.status;
    const dir = out.split("\n")[0]!;
    assert.equal(readLines(dir, "metrics").length, 100);
    assert.equal((await readRun(dir)).status, "running");
    // The dead process no longer holds the run.
    const again = await resumeRun(dir, 40);
    again.finish("completed", {});
    assert.equal(readLines(dir, "metrics").length, 40);
  }));

Deno.test("resumeRun() moves lines beyond the checkpoint aside, marks the seam and goes on", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe(), NOON);
    for (const step of [10, 20, 30]) {
      run.metrics({ step, tokens: step * 768, train_loss: 1 / step });
      run.sample({ step, prompt: "", text: `at ${step}` });
    }
    run.finish("interrupted", {});
    const resumed = await resumeRun(run.dir, 20, at("2026-11-24T13:00:00.000Z"));
    resumed.metrics({ step: 30, tokens: 30 * 768, train_loss: 0.5 });
    resumed.finish("completed", {});

    const lines = async (name: string) => await readJsonl(path.join(run.dir, name));
    const steps = async (name: string) => (await lines(name)).map((line) => line.step);
    assert.deepEqual(await steps("metrics.jsonl"), [10, 20, 30]);
    assert.equal(readLines(run.dir, "metrics").at(-1)?.train_loss, 0.5);
    assert.deepEqual(await steps("metrics.discarded.jsonl"), [30]);
    assert.deepEqual(await steps("samples.jsonl"), [10, 20]);
    assert.deepEqual(await steps("samples.discarded.jsonl"), [30]);
    const time = "2026-11-24T13:00:00.000Z";
    assert.deepEqual(await lines("events.jsonl"), [
      { type: "started", step: 0, time: "2026-11-24T12:00:00.000Z" },
      { type: "ended", step: 30, time: "2026-11-24T12:00:00.000Z", status: "interrupted" },
      { type: "resumed", step: 20, time, discarded: { metrics: 1, samples: 1 } },
      { type: "ended", step: 30, time, status: "completed" },
    ]);
    const record = await readRun(run.dir);
    assert.equal(record.status, "completed");
    assert.equal(record.created, "2026-11-24T12:00:00.000Z");
    assert.deepEqual(record.resumed, [{ step: 20, time: "2026-11-24T13:00:00.000Z" }]);
  }));

Deno.test("reserveRun() makes a run whose training begins later, with what is known then", () =>
  withRuns(async (describe) => {
    const { adapter, kernel_choices, ...description } = describe();
    const dir = await reserveRun(description, NOON);
    const reserved = await readRun(dir);
    assert.deepEqual([reserved.status, reserved.adapter, reserved.kernel_choices], ["created", null, {}]);
    const { seed } = description;
    (await resumeRun(dir, 0, { training: { seed, adapter, kernel_choices } })).finish("interrupted", {});
    const begun = await readRun(dir);
    assert.deepEqual([begun.adapter, begun.kernel_choices, begun.resumed], [adapter, kernel_choices, []]);
    assert.deepEqual([begun.status, begun.seed], ["interrupted", seed]);
    // From then on it is a run that goes on: it keeps what it has, and the seam is marked.
    const other = { seed: 7, adapter: "another", kernel_choices: {} };
    (await resumeRun(dir, 10, { training: other })).finish("interrupted", {});
    const resumed = await readRun(dir);
    assert.deepEqual([resumed.adapter, resumed.seed, resumed.resumed.length], [adapter, seed, 1]);
    // Unless it begins anew.
    (await resumeRun(dir, 0, { training: other })).finish("completed", {});
    const anew = await readRun(dir);
    assert.deepEqual([anew.adapter, anew.seed, anew.resumed.length], ["another", 7, 2]);
  }));

Deno.test("resumeRun() drops a torn last line and refuses one that is broken in the middle", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe(), NOON);
    run.metrics({ step: 1, tokens: 768, train_loss: 4 });
    run.finish("interrupted", {});
    const metrics = path.join(run.dir, "metrics.jsonl");
    await Deno.writeTextFile(metrics, '{"step":2,"tok', { append: true });
    const resumed = await resumeRun(run.dir, 5);
    resumed.metrics({ step: 6, tokens: 4608, train_loss: 3 });
    resumed.finish("completed", {});
    assert.deepEqual(readLines(run.dir, "metrics").map((line) => line.step), [1, 6]);

    await Deno.writeTextFile(metrics, 'nonsense\n{"step":1}\n');
    await assert.rejects(resumeRun(run.dir, 5), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.describe(), /metrics\.jsonl:1: is not a JSON object/);
      return true;
    });
  }));

Deno.test("a run that is being written can't be resumed a second time", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe(), NOON);
    await assert.rejects(resumeRun(run.dir, 0), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.describe(), /another process is training this run/);
      return true;
    });
    run.finish("completed", {});
    (await resumeRun(run.dir, 0)).finish("completed", {});
  }));

Deno.test("resumeRun() and readRun() name the file where there is no run, or one of another form", () =>
  withRuns(async (describe) => {
    const dir = describe().runs_dir;
    await assert.rejects(resumeRun(dir, 0), { name: "UserError", message: "no such file or folder" });
    await Deno.writeTextFile(path.join(dir, "run.json"), '{"format_version": 2, "id": 3}');
    await assert.rejects(readRun(dir), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.describe(), /run\.json: .*id: expected text, got 3/);
      return true;
    });
    await Deno.writeTextFile(path.join(dir, "run.json"), '{"format_version": 3}');
    await assert.rejects(readRun(dir), /format_version 3 is newer than 2/);
  }));

Deno.test("latestRun() finds the newest run, of a configuration where one is given, and no trial", () =>
  withRuns(async (describe) => {
    const { runs_dir } = describe();
    assert.equal(await latestRun(path.join(runs_dir, "none")), undefined);
    await Deno.mkdir(path.join(runs_dir, ".cache"));
    assert.equal(await latestRun(runs_dir), undefined);
    const made: string[] = [];
    for (let i = 0; i < 11; i++) made.push((await createRun(describe(), NOON)).dir);
    assert.equal(await latestRun(runs_dir), made[10]);
    const other = await createRun(describe({ config_name: "baby" }), at("2026-11-24T12:00:01.000Z"));
    await createRun(describe({ parent: "tiny_20261124_120000" }), at("2026-11-24T12:00:02.000Z"));
    assert.equal(await latestRun(runs_dir), other.dir);
    assert.equal(await latestRun(runs_dir, "tiny"), made[10]);
  }));

Deno.test({
  name: "a full disk costs one warning and no training",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await withRuns(async (describe) => {
      const warnings: string[] = [];
      const run = await createRun(describe(), NOON);
      run.finish("interrupted", {});
      const events = path.join(run.dir, "events.jsonl");
      await Deno.remove(events);
      await Deno.symlink("/dev/full", events); // every write to it finds the disk full
      const resumed = await resumeRun(run.dir, 0, { warn: (line) => warnings.push(line) });
      resumed.event({ type: "checkpoint", step: 1 });
      resumed.metrics({ step: 1, tokens: 768, train_loss: 4 });
      resumed.finish("completed", {});
      assert.equal(warnings.length, 1, warnings.join("\n"));
      assert.match(warnings[0]!, /events\.jsonl is not written: the disk is full; training goes on/);
      assert.equal(readLines(run.dir, "metrics").length, 1);
      assert.equal((await readRun(run.dir)).status, "completed");
    });
  },
});

Deno.test("what cannot be written at the end is a warning too", () =>
  withRuns(async (describe) => {
    const warnings: string[] = [];
    const run = await createRun(describe(), { ...NOON, warn: (line) => warnings.push(line) });
    await Deno.remove(path.join(run.dir, "run.json"));
    run.finish("completed", {});
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /run\.json is not written/);
    await assert.rejects(readJson(path.join(run.dir, "run.json")));
  }));

Deno.test("a run of format 1 is read, and resuming makes it one of today's", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe(), NOON);
    run.finish("interrupted", {});
    const file = path.join(run.dir, "run.json");
    const { parents: _, tags: _t, notes: _n, config: _c, config_digest: _d, metrics_summary: _m, ...old } =
      JSON.parse(await Deno.readTextFile(file));
    await Deno.writeTextFile(file, JSON.stringify({ ...old, format_version: 1, parent: "search_1" }));
    const read = await readRun(run.dir);
    assert.deepEqual([read.parents, read.tags, read.config], [["search_1"], [], {}]);
    (await resumeRun(run.dir, 0)).finish("completed", {});
    const now = JSON.parse(await Deno.readTextFile(file));
    assert.deepEqual([now.format_version, now.parents, now.config], [2, ["search_1"], {
      model: { n_layer: 4 },
    }]);
    assert.ok(!("parent" in now));
  }));

Deno.test("a run that ends sums its metrics up, with those from before it was resumed and none that were taken back", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe(), NOON);
    for (const step of [1, 2, 3]) run.metrics({ step, tokens: step, loss: step === 3 ? 0 : 10 - step });
    run.finish("interrupted", {});
    const resumed = await resumeRun(run.dir, 2);
    resumed.metrics({ step: 3, tokens: 3, loss: 7.5 });
    resumed.finish("completed", {});
    const { metrics_summary } = await readRun(run.dir);
    assert.deepEqual(metrics_summary?.by_name.loss, {
      last: 7.5,
      last_step: 3,
      min: 7.5,
      min_step: 3,
      max: 9,
      max_step: 1,
      count: 3,
    });
    assert.equal(metrics_summary?.bytes, (await Deno.stat(path.join(run.dir, "metrics.jsonl"))).size);
  }));

Deno.test("a resumed run takes the configuration that it is given", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe(), NOON);
    run.finish("completed", {});
    const config_yaml = "model:\n  n_layer: 6\n";
    (await resumeRun(run.dir, 0, { config_yaml })).finish("completed", {});
    const { config, config_digest } = await readRun(run.dir);
    assert.deepEqual([config, config_digest], [{ model: { n_layer: 6 } }, sha256(config_yaml)]);
    assert.equal(await Deno.readTextFile(path.join(run.dir, "config.yaml")), config_yaml);
  }));

Deno.test("changes to a run's record while it goes on are kept when it ends", () =>
  withRuns(async (describe) => {
    const run = await createRun(describe(), NOON);
    updateRunSync(run.dir, ({ tags }) => ({ tags: [...tags, "good"] }));
    run.finish("completed", {});
    const { tags, status } = await readRun(run.dir);
    assert.deepEqual([tags, status], [["good"], "completed"]);
  }));
