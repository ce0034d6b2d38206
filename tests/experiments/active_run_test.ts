/** Runs of scripts: what they write, that nothing stops them, and that hostile names stay names. */

import assert from "assert";
import { basename, dirname, join } from "path";
import { UserError } from "../../common/mod.ts";
import {
  chooseRun,
  listRuns,
  readLines,
  readMetrics,
  readRun,
  type RunEntry,
  startRun,
} from "../../experiments/mod.ts";

/** Runs a test with a folder that is removed afterwards. */
async function inFolder(test: (runs_dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(join(dir, "runs"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const HOSTILE = [
  "../../etc/passwd",
  "<script>alert(1)</script>",
  "x".repeat(10_000),
  "🐳🔥",
  "",
  "..",
  "-rf",
  "a\nb\0c",
  "CON",
];

Deno.test("startRun() makes a run with all that it is told, and log() counts steps where none is given", () =>
  inFolder(async (runs_dir) => {
    const run = await startRun({
      name: "sine",
      config: { rate: 0.1, net: { layers: [3, 3] } },
      tags: ["toy"],
      notes: "a try",
      parents: ["older"],
      seed: 7,
      runs_dir,
    });
    run.log({ loss: 3 });
    run.log({ loss: 2, tokens: 20 });
    run.log({ step: 10, loss: NaN });
    run.log({ loss: 1 });
    run.sample({ text: "Ishmael" });
    run.event({ type: "note", text: "halfway" });
    run.finish("completed", { loss: 1 });
    run.log({ loss: 0 });
    const { loss } = readMetrics(run);
    assert.deepEqual([loss!.step, loss!.value, loss!.tokens], [[1, 2, 10, 11], [3, 2, NaN, 1], [
      NaN,
      20,
      NaN,
      NaN,
    ]]);
    const [entry] = await listRuns(runs_dir);
    assert.deepEqual([entry!.id, entry!.dir], [run.id, run.dir]);
    assert.deepEqual(
      [entry!.name, entry!.state, entry!.tags, entry!.notes, entry!.parents, entry!.record.seed],
      ["sine", "completed", ["toy"], "a try", ["older"], 7],
    );
    assert.deepEqual(entry!.config, { rate: 0.1, "net.layers": [3, 3] });
    assert.deepEqual(entry!.record.summary, { loss: 1 });
    assert.deepEqual(readLines(run, "samples").map(({ step, text }) => [step, text]), [[11, "Ishmael"]]);
    assert.deepEqual(readLines(run, "events").map(({ type }) => type), [
      "started",
      "not_finite",
      "note",
      "ended",
    ]);
    assert.match(String(entry!.record.git_commit), /^[0-9a-f]{40}$/);
  }));

Deno.test("a value that is no number is left out with one warning, and a run left by its block was interrupted", () =>
  inFolder(async (runs_dir) => {
    const warnings: string[] = [];
    let dir = "";
    {
      using run = await startRun({ runs_dir, warn: (line) => warnings.push(line) });
      dir = run.dir;
      for (let i = 0; i < 3; i++) run.log({ loss: i, mood: "good" as unknown as number });
    }
    assert.deepEqual(warnings, [
      "warning: mood is no number and is not logged; texts go to sample() or event()",
    ]);
    assert.equal((await readRun(dir)).status, "interrupted");
    assert.deepEqual(Object.keys(readMetrics(dir)), ["loss"]);
  }));

Deno.test("artifacts are bytes, texts or copies, and stay in their folder", () =>
  inFolder(async (runs_dir) => {
    const warnings: string[] = [];
    const run = await startRun({ runs_dir, warn: (line) => warnings.push(line) });
    const artifacts = join(run.dir, "artifacts");
    assert.equal(await run.artifact("a.bin", new Uint8Array([1, 2])), join(artifacts, "a.bin"));
    assert.equal(
      await run.artifact("plots/<b> 🐳.svg", { text: "<svg/>" }),
      join(artifacts, "plots/<b> 🐳.svg"),
    );
    await run.artifact("copy.yaml", { path: join(run.dir, "config.yaml") });
    assert.equal(await Deno.readTextFile(join(artifacts, "copy.yaml")), "{}\n");
    for (
      const name of ["../x", "/etc/x", "a/../../x", "", ".", "a//b", "a\\..\\b", "nul\0", "x".repeat(10_000)]
    ) {
      await assert.rejects(run.artifact(name, { text: "" }), (error) => error instanceof UserError);
    }
    await Deno.symlink(dirname(runs_dir), join(artifacts, "out"));
    assert.equal(await run.artifact("out/x", { text: "" }), undefined);
    assert.equal(await run.artifact("gone", { path: "/no/such/file" }), undefined);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0]!, /a link leads out of the run's folder/);
    assert.deepEqual(Array.from(Deno.readDirSync(dirname(runs_dir)), ({ name }) => name), ["runs"]);
    run.finish();
  }));

Deno.test({
  name: "a full disk costs one warning for each file; what comes when there is room again is written",
  ignore: !hasPrlimit(),
  fn: () =>
    inFolder(async (runs_dir) => {
      const warnings: string[] = [];
      const run = await startRun({ runs_dir, warn: (line) => warnings.push(line) });
      run.log({ loss: 1 });
      const file = join(run.dir, "metrics.jsonl");
      // The tracker holds the file open, so it is the process's limit on a file's size that fills the disk here.
      const limit = (bytes: string) =>
        new Deno.Command("prlimit", { args: [`--fsize=${bytes}:unlimited`, "--pid", String(Deno.pid)] })
          .outputSync();
      const ignored = () => {};
      Deno.addSignalListener("SIGXFSZ" as Deno.Signal, ignored);
      try {
        limit(String((await Deno.stat(file)).size + 10));
        for (let i = 0; i < 5; i++) run.log({ loss: 2 });
        limit("unlimited");
        run.log({ loss: 3 });
      } finally {
        limit("unlimited");
        Deno.removeSignalListener("SIGXFSZ" as Deno.Signal, ignored);
      }
      run.finish();
      assert.deepEqual(readMetrics(run).loss!.value, [1, 3]);
      assert.equal(warnings.length, 1, warnings.join("\n"));
      assert.match(warnings[0]!, /metrics\.jsonl is not written/);
      const { metrics_summary } = await readRun(run.dir);
      assert.deepEqual([metrics_summary?.lines, metrics_summary?.by_name.loss?.last], [2, 3]);
    }),
});

function hasPrlimit(): boolean {
  try {
    return new Deno.Command("prlimit", { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}

Deno.test("hostile names are kept as texts, and their folders stay in the runs' folder", () =>
  inFolder(async (runs_dir) => {
    for (const name of HOSTILE) {
      const run = await startRun({
        name,
        tags: [name],
        notes: name,
        config: { [name || "empty"]: name },
        runs_dir,
      });
      assert.equal(dirname(run.dir), runs_dir);
      assert.match(basename(run.dir), /^[\p{L}\p{N}_][\p{L}\p{N}._-]{0,100}$/u);
      run.log({ [name]: 1 });
      run.finish();
    }
    const runs = await listRuns(runs_dir);
    assert.deepEqual(runs.map(({ name }) => name).sort(), [...HOSTILE].sort());
    for (const { name, tags, notes, config, metrics, problems } of runs) {
      assert.deepEqual([tags, notes, Object.values(config)], [[name], name, [name]]);
      assert.deepEqual(Object.keys(metrics.by_name), [name]);
      assert.deepEqual(problems, []);
    }
    assert.deepEqual(Array.from(Deno.readDirSync(dirname(runs_dir)), ({ name }) => name), ["runs"]);
  }));

Deno.test("chooseRun() takes ids, names, beginnings and paths inside the runs' folder, and says what is unclear", () => {
  const run = (id: string, name: string) => ({ id, name, dir: `/r/${id}` }) as RunEntry;
  const runs = [run("tiny_1", "first"), run("tiny_10", "second"), run("baby_1", "second"), run("tiny", "x")];
  const idOf = (which: string) => chooseRun(runs, which, "/r").id;
  assert.deepEqual(["tiny_1", "first", "bab", "fir", "/r/tiny_10", "/r/x/../tiny_1", "tiny"].map(idOf), [
    "tiny_1",
    "tiny_1",
    "baby_1",
    "tiny_1",
    "tiny_10",
    "tiny_1",
    "tiny",
  ]);
  const refused = (which: string, message: RegExp) =>
    assert.throws(() => idOf(which), (error) => error instanceof UserError && message.test(error.describe()));
  refused("tin", /tin may be 3 runs: tiny_1, tiny_10, tiny \(give more of the id\)/);
  refused("second", /second may be 2 runs: tiny_10, baby_1/);
  refused("tinny_1", /there is no run tinny_1 in \/r \(did you mean tiny_1\?\)/);
  for (const which of ["../../etc", "/etc/passwd", "..", ".", "/r", "/other/tiny_1", ""]) {
    refused(which, /there is no run/);
  }
  for (const which of HOSTILE.filter((name) => name !== "")) {
    refused(which, /there is no run/);
    assert.throws(() => idOf(which), (error) => (error as UserError).describe().length < 300);
  }
});
