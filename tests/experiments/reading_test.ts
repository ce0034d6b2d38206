/** Reading runs back: whole ones, damaged ones, ones that are being written, and what is no run at all. */

import assert from "assert";
import { join } from "path";
import {
  createRun,
  listRuns,
  MetricsFollower,
  readLines,
  readMetrics,
  RunIndex,
} from "../../experiments/mod.ts";
import { makeManyRuns } from "./many_runs.ts";

/** Runs a test with a folder that is removed afterwards. */
async function inFolder(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const begin = (runs_dir: string, config_name = "tiny") =>
  createRun({
    runs_dir,
    config_name,
    config_yaml: "model:\n  n_layer: 4\ntraining:\n  learning_rate: 1e-3\n",
    seed: 1,
    adapter: "llvmpipe",
    kernel_choices: {},
  });

/** What a straightforward reader finds: every line parsed, every metric's values in order. */
function plainly(file: string): Record<string, (number | null)[]> {
  const values: Record<string, (number | null)[]> = {};
  for (const line of Deno.readTextFileSync(file).trim().split("\n")) {
    const { step: _step, time: _time, tokens: _tokens, ...measured } = JSON.parse(line);
    for (const [name, value] of Object.entries(measured)) (values[name] ??= []).push(value as number | null);
  }
  return values;
}

Deno.test("listRuns() gives the last, least and largest of every metric, whoever summed them up", () =>
  inFolder(async (dir) => {
    await makeManyRuns(dir, { runs: 9, points: 200 }); // the fourth failed with NaN, the eighth was killed
    const runs = await listRuns(dir);
    assert.equal(runs.length, 9);
    assert.deepEqual(
      runs.map(({ created }) => created),
      runs.map(({ created }) => created).toSorted().reverse(),
    );
    for (const run of runs) {
      assert.deepEqual(run.problems, []);
      const truth = plainly(join(run.dir, "metrics.jsonl"));
      assert.deepEqual(Object.keys(run.metrics.by_name).sort(), Object.keys(truth).sort());
      for (const [name, values] of Object.entries(truth)) {
        const finite = values.filter((value) => value !== null);
        const { last, min, max, count } = run.metrics.by_name[name]!;
        assert.deepEqual([last, min, max, count], [
          values.at(-1),
          Math.min(...finite),
          Math.max(...finite),
          values.length,
        ]);
      }
      assert.equal(run.metrics.step, 2000);
      assert.equal(run.config["training.max_steps"], 2000);
    }
    const [killed, failed] = [runs.at(-8)!, runs.at(-4)!];
    assert.equal(killed.state, "killed");
    assert.deepEqual([failed.state, failed.metrics.by_name.train_loss!.last], ["failed", null]);
  }));

Deno.test("readMetrics() gives each metric its own steps; what is not finite is NaN, and null as JSON", () =>
  inFolder(async (dir) => {
    const run = await begin(dir);
    run.metrics({ step: 10, tokens: 100, train_loss: 2 });
    run.metrics({ step: 20, tokens: 200, train_loss: NaN, val_loss: 3 });
    run.finish("completed", {});
    const { train_loss, val_loss } = readMetrics(run);
    assert.deepEqual([train_loss?.step, train_loss?.tokens, train_loss?.value], [[10, 20], [100, 200], [
      2,
      NaN,
    ]]);
    assert.deepEqual([val_loss?.step, val_loss?.value], [[20], [3]]);
    assert.ok(Math.abs(train_loss!.time[0]! - Date.now()) < 60_000);
    assert.equal(JSON.stringify(train_loss!.value), "[2,null]");
    assert.deepEqual(readMetrics(join(dir, "none")), {});
  }));

Deno.test("a run that goes on is followed line by line, a torn line when it is whole, a resumed run from the start", () =>
  inFolder(async (dir) => {
    const file = join(dir, "metrics.jsonl");
    const append = (text: string) => Deno.writeTextFile(file, text, { append: true });
    const follower = new MetricsFollower(dir);
    const losses = () => follower.series.get("loss")?.value;
    assert.deepEqual(follower.read(), { added: 0, restarted: false });
    await append('{"step":1,"loss":4}\n{"step":2,"lo');
    assert.deepEqual(follower.read(), { added: 1, restarted: false });
    await append('ss":3}\n');
    assert.deepEqual(follower.read(), { added: 1, restarted: false });
    await append('{"step":3,"loss":2}'); // whole, but for its line's end
    assert.deepEqual(follower.read(), { added: 1, restarted: false });
    await append('\n[1]\n\0\0\0\n{"step":4,"loss":1}\n'); // two lines that hold no object
    assert.deepEqual(follower.read(), { added: 1, restarted: false });
    assert.deepEqual(losses(), [4, 3, 2, 1]);
    await Deno.writeTextFile(
      file,
      '{"step":1,"loss":4}\n{"step":2,"loss":9}\n{"step":3,"loss":8}\n{"step":4,"loss":7}\n{"step":5,"loss":6}\n',
    );
    assert.deepEqual(follower.read(), { added: 5, restarted: true });
    assert.deepEqual(losses(), [4, 9, 8, 7, 6]);
  }));

Deno.test("lines longer than what is read at once, and characters cut by it, come out whole", () =>
  inFolder(async (dir) => {
    const text = "größer ".repeat(400_000);
    const lines = [{ step: 1, text }, { step: 2, text: "ß" }];
    await Deno.writeTextFile(
      join(dir, "samples.jsonl"),
      lines.map((line) => JSON.stringify(line) + "\n").join(""),
    );
    assert.deepEqual(readLines(dir, "samples"), lines);
  }));

Deno.test("an index sees lines that were added, runs that came and went, and a run that was resumed", () =>
  inFolder(async (dir) => {
    const index = new RunIndex(dir);
    assert.deepEqual(await index.refresh(), []);
    const run = await begin(dir);
    const loss = async () => (await index.refresh()).find(({ dir }) => dir === run.dir)?.metrics.by_name.loss;
    assert.equal(await loss(), undefined);
    for (const [step, value] of [[1, 4], [2, 2], [3, 3]] as const) {
      run.metrics({ step, tokens: step, loss: value });
    }
    assert.deepEqual(await loss(), {
      last: 3,
      last_step: 3,
      min: 2,
      min_step: 2,
      max: 4,
      max_step: 1,
      count: 3,
    });
    assert.equal((await index.refresh())[0]!.state, "running");
    const other = await begin(dir, "other");
    other.finish("completed", {});
    assert.equal((await index.refresh()).length, 2);
    await Deno.remove(other.dir, { recursive: true });
    // A resumed run takes lines back.
    await Deno.writeTextFile(join(run.dir, "metrics.jsonl"), '{"step":1,"tokens":1,"loss":4}\n');
    assert.equal((await loss())?.count, 1);
    run.finish("completed", {});
    assert.equal((await index.refresh()).length, 1);
  }));

Deno.test("what took long to read is noted beside the runs, and a note that is broken, old or forbidden does no harm", () =>
  inFolder(async (dir) => {
    await makeManyRuns(dir, { runs: 8, points: 6000 }); // the eighth, which was killed, is more than 1 MiB
    const note = join(dir, ".cache/run_index.json");
    const first = await listRuns(dir);
    assert.ok((await Deno.stat(note)).size > 0);
    assert.deepEqual(await listRuns(dir), first);
    for (const text of ["", "{", '{"version":99}', '{"version":1,"runs":[["x",{}]]}']) {
      await Deno.writeTextFile(note, text);
      assert.deepEqual(await listRuns(dir), first);
    }
    await Deno.remove(join(dir, ".cache"), { recursive: true });
    await Deno.writeTextFile(join(dir, ".cache"), "a file in its place");
    assert.deepEqual(await listRuns(dir), first);
  }));

Deno.test("without time, metrics come from the end of their file, until the next look", () =>
  inFolder(async (dir) => {
    await makeManyRuns(dir, { runs: 8, points: 2000 });
    const index = new RunIndex(dir);
    const killed = (await index.refresh({ budgetMs: -1 })).find(({ state }) => state === "killed")!;
    const whole = (await index.refresh()).find(({ state }) => state === "killed")!;
    assert.deepEqual([killed.partial, whole.partial], [true, false]);
    assert.equal(killed.metrics.by_name.train_loss!.last, whole.metrics.by_name.train_loss!.last);
    assert.ok(killed.metrics.by_name.train_loss!.count < 2000);
    assert.equal(whole.metrics.by_name.train_loss!.count, 2000);
  }));

Deno.test("damaged runs, foreign folders and files among the runs are told, and hide nothing", () =>
  inFolder(async (dir) => {
    const run = await begin(dir, "good");
    run.metrics({ step: 1, tokens: 1, loss: 4 });
    run.finish("completed", {});
    const make = async (name: string, files: Record<string, string>) => {
      await Deno.mkdir(join(dir, name));
      for (const [file, text] of Object.entries(files)) await Deno.writeTextFile(join(dir, name, file), text);
    };
    await make("half_copied", { "metrics.jsonl": '{"step":1,"loss":2}\n{"step":2,"lo' });
    await make("torn_record", {
      "run.json": '{"format_version": 1, "na',
      "metrics.jsonl": '{"step":1,"loss":1}\n',
    });
    await make("no_metrics", { "run.json": '{"format_version": 1, "name": "bare", "status": "completed"}' });
    await make("bad_config", { "run.json": "{}", "config.yaml": "model: [1,\n" });
    await make("newer", {
      "run.json": JSON.stringify({
        format_version: 7,
        name: "from later",
        status: "levitating",
        tags: ["a", 3],
      }),
      "metrics.jsonl": '{"step":1,"loss":5,"mood":"good","nested":{"x":1}}\n',
    });
    await make("odd_types", {
      "run.json": '{"name": 3, "tags": "x", "parents": [1, "p"], "config": 4, "created": {}}',
    });
    await make("mlruns", { "meta.yaml": "artifact_location: x\n" });
    await Deno.mkdir(join(dir, "metrics_is_a_folder/metrics.jsonl"), { recursive: true });
    await Deno.writeTextFile(join(dir, "notes.txt"), "mine");
    const index = new RunIndex(dir);
    const runs = Object.fromEntries((await index.refresh()).map((entry) => [entry.id, entry]));
    assert.deepEqual(index.foreign, ["mlruns"]);
    assert.equal(Object.keys(runs).length, 8);
    const last = (id: string) => runs[id]!.metrics.by_name.loss?.last;
    assert.deepEqual([last("half_copied"), last("torn_record"), last("newer")], [2, 1, 5]);
    assert.match(runs.half_copied!.problems.join(), /run\.json is missing/);
    assert.match(runs.torn_record!.problems.join(), /run\.json: is not a JSON object/);
    assert.match(runs.bad_config!.problems.join(), /config\.yaml:\d+: is not valid YAML/);
    assert.match(runs.metrics_is_a_folder!.problems.join(), /metrics\.jsonl: is a folder/);
    assert.match(runs.newer!.problems.join(), /format 7, newer than this version's \d/);
    assert.deepEqual(
      [runs.newer!.name, runs.newer!.state, runs.newer!.tags, runs.newer!.record.status],
      ["from later", "unknown", ["a"], "levitating"],
    );
    assert.deepEqual(Object.keys(runs.newer!.metrics.by_name), ["loss"]);
    assert.deepEqual([runs.no_metrics!.name, runs.no_metrics!.state], ["bare", "completed"]);
    assert.deepEqual([runs.odd_types!.name, runs.odd_types!.parents], ["odd_types", ["p"]]);
    assert.equal(runs[run.dir.slice(dir.length + 1)]!.state, "completed");
  }));

Deno.test("a metric may be called anything", () =>
  inFolder(async (dir) => {
    const names = ["__proto__", "constructor", "<script>", "🐳", "x".repeat(10_000)];
    await Deno.writeTextFile(
      join(dir, "metrics.jsonl"),
      names.map((name) => `{"step":1,${JSON.stringify(name)}:1}\n`).join(""),
    );
    assert.deepEqual(Object.keys(readMetrics(dir)), names);
  }));

Deno.test("two processes that read while a third one writes see every line once, whole and in order", () =>
  inFolder(async (dir) => {
    const LINES = 600;
    const door = JSON.stringify(import.meta.resolve("../../experiments/mod.ts"));
    const run = async (name: string, body: string, arg = ""): Promise<string> => {
      await Deno.writeTextFile(join(dir, name), body);
      const { stdout, success } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          "--no-check",
          "--config",
          join(import.meta.dirname!, "../../deno.json"),
          join(dir, name),
          arg,
        ],
        stderr: "inherit",
      }).output();
      assert.ok(success);
      return new TextDecoder().decode(stdout);
    };
    const reader = `
      import { listRuns, MetricsFollower } from ${door};
      let follower, looks = 0, length = 0;
      while (length < ${LINES}) {
        const [entry] = await listRuns(${JSON.stringify(join(dir, "runs"))});
        if (entry !== undefined) {
          follower ??= new MetricsFollower(entry.dir);
          follower.read();
          const series = follower.series.get("x");
          length = series?.value.length ?? 0;
          if (series?.value.some((value, i) => value !== i || series.step[i] !== i + 1)) throw new Error("out of order");
          const listed = entry.metrics.by_name.x;
          if (listed !== undefined && (listed.last !== listed.count - 1 || listed.count > length)) throw new Error("not whole");
          if (entry.problems.length > 0) throw new Error(entry.problems.join());
          if (looks++ === 0) Deno.writeTextFileSync(${
      JSON.stringify(join(dir, "looked"))
    } + Deno.args[0], "");
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      console.log(looks);`;
    const writer = `
      import { startRun } from ${door};
      const run = await startRun({ runs_dir: ${JSON.stringify(join(dir, "runs"))} });
      const looked = (name) => { try { return Deno.statSync(${
      JSON.stringify(join(dir, "looked"))
    } + name).isFile; } catch { return false; } };
      for (let i = 0; i < ${LINES}; i++) {
        run.log({ x: i });
        while (i === 100 && !(looked("a") && looked("b"))) await new Promise((resolve) => setTimeout(resolve, 10));
        if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      }
      run.finish();`;
    const [a, b] = await Promise.all([
      run("a.ts", reader, "a"),
      run("b.ts", reader, "b"),
      run("writer.ts", writer),
    ]);
    assert.ok(Number(a) > 1 && Number(b) > 1, `${a} and ${b} looks`);
  }));
