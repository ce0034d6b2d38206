/** `chatgot runs` and what stands below it, as a user meets it. */

import assert from "assert";
import { join } from "path";
import { UserError } from "../../common/mod.ts";
import { type ActiveRun, listRuns, readRun, runsCommand, startRun } from "../../experiments/mod.ts";
import { chatgot, ended, start } from "../pipeline/training_support.ts";
import { printed } from "../pipeline/printed.ts";
import { makeManyRuns } from "./many_runs.ts";

/** Runs a test with a folder of runs: `first` (4 layers, good), `second` (6 layers, failed), `odd` (hostile texts, goes on). */
async function withRuns(
  test: (
    at: { dir: string; runs: string; active: ActiveRun; say: (...args: string[]) => Promise<string> },
  ) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  const runs_dir = join(dir, "runs");
  const first = await startRun({
    name: "first",
    config: { model: { n_layer: 4 }, lr: 1 },
    tags: ["base"],
    runs_dir,
  });
  for (let step = 1; step <= 20; step++) first.log({ step, val_loss: 2 - step / 20 });
  first.sample({ step: 20, prompt: "Call me ", text: "Ishmael\nagain" });
  await first.artifact("plots/a.svg", { text: "<svg/>" });
  first.finish();
  const second = await startRun({ name: "second", config: { model: { n_layer: 6 }, lr: 1 }, runs_dir });
  second.log({ step: 1, val_loss: 3 });
  second.log({ step: 2, val_loss: NaN });
  second.finish("failed");
  const active = await startRun({ name: HOSTILE, tags: [HOSTILE], notes: HOSTILE, runs_dir });
  active.log({ step: 1, [HOSTILE]: 1 });
  try {
    await test({
      dir,
      runs: runs_dir,
      active,
      say: (...args) =>
        printed(() =>
          runsCommand().exitOverride().parseAsync([...args, "--runs", runs_dir], { from: "user" })
        ),
    });
  } finally {
    active.finish();
    await Deno.remove(dir, { recursive: true });
  }
}

const HOSTILE = "<script>\x1b[31m\n../../etc 🐳" + "x".repeat(10_000);

const refused = (what: Promise<unknown>, message: RegExp) =>
  assert.rejects(what, (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.describe(), message);
    return true;
  });

Deno.test("runs lists the newest first, filters, sorts, and shows the columns that are asked for", () =>
  withRuns(async ({ say }) => {
    const lines = (await say()).trimEnd().split("\n");
    assert.match(lines[0]!, /^id +state +created +step +val_loss +tags$/);
    assert.equal(lines.length, 4);
    assert.match(lines[1]!, /^_?script.* running .* <script>\\u001b\[31m\\n\.\.\/\.\.\/etc 🐳x+…$/);
    assert.match(lines[3]!, /^first_\S+ +completed .* 20 +1 +base$/);
    assert.match(await say("--where", "val_loss < 1.5 and n_layer = 4"), /first/);
    assert.equal(
      await say("--where", "n_layer", "--sort", "-n_layer", "--columns", "name,n_layer,val_loss.min"),
      "name    n_layer  val_loss.min\nsecond        6             3\nfirst         4             1\n",
    );
    const { runs, count, total } = JSON.parse(await say("--json", "--sort", "val_loss", "--limit", "1"));
    assert.deepEqual([runs.length, count, total], [1, 3, 3]);
    assert.deepEqual([runs[0].name, runs[0].config["model.n_layer"], runs[0].metrics.by_name.val_loss.min], [
      "first",
      4,
      1,
    ]);
    const chosen = JSON.parse(
      await say("--json", "--columns", "name,val_loss", "--sort", "name", "--where", "n_layer"),
    );
    assert.deepEqual(chosen.runs, [{ name: "first", val_loss: 1 }, { name: "second", val_loss: null }]);
    await refused(say("--where", "val_los < 1"), /did you mean val_loss\?/);
    await refused(say("--columns", "nme"), /did you mean name\?/);
    await refused(say("--limit", "0"), /--limit: expected a whole number of at least 1/);
    await refused(say("shwo", "first"), /unknown command "shwo" \(did you mean show\?\)/);
    const empty = await printed(() =>
      runsCommand().parseAsync(["--json", "--runs", "/no/such", "--where", "x = 1"], { from: "user" })
    );
    assert.deepEqual(JSON.parse(empty), { runs: [], count: 0, total: 0, foreign: [] });
  }));

Deno.test("show tells all of a run; nothing that it prints moves the cursor", () =>
  withRuns(async ({ say, active }) => {
    const text = await say("show", "first");
    for (
      const part of [
        /state +completed/,
        /tags +base/,
        /val_loss +1 +1 +20 +1\.95 +20/,
        /model\.n_layer +4/,
        /plots\/a\.svg {2}6 B/,
      ]
    ) {
      assert.match(text, part);
    }
    assert.match(text, /last sample \(step 20\)\nCall me Ishmael\nagain\n$/);
    const odd = await say("show", active.id);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(odd, /[\x00-\x09\x0b-\x1f]/);
    assert.ok(odd.split("\n").every((line) => line.length < 1200));
    const { events, artifacts, last_sample, id } = JSON.parse(await say("show", "first", "--json"));
    assert.deepEqual(events.map(({ type }: { type: string }) => type), ["started", "ended"]);
    assert.deepEqual(artifacts, [{ name: "plots/a.svg", bytes: 6 }]);
    assert.equal(last_sample.text, "Ishmael\nagain");
    assert.match(id, /^first_/);
    await refused(say("show", "fist"), /did you mean first\?/);
    await refused(say("show", "../../etc"), /there is no run/);
  }));

Deno.test("compare shows what differs, what the runs came to, and their curves", () =>
  withRuns(async ({ say }) => {
    const text = await say("compare", "first", "second");
    assert.match(text, /^1 o {2}first_\S+ {2}first\n2 x {2}second_\S+ {2}second\n/);
    assert.match(text, /model\.n_layer +4 +6\n/);
    assert.doesNotMatch(text, /\blr\b/);
    assert.match(text, /val_loss by step\n(.*\n)+ *\+-+\n/);
    const plot = text.slice(text.indexOf("by step"));
    assert.equal(plot.split("o").length - 1 > 10, true);
    const { config, metrics } = JSON.parse(await say("compare", "first", "second", "--json"));
    assert.deepEqual(config, { "model.n_layer": [4, 6] });
    assert.deepEqual(metrics, { val_loss: [1, null], "val_loss.min": [1, 3] });
    await refused(say("compare", "first"), /one run alone/);
    await refused(
      say("compare", "first", "second", "--metric", "mood"),
      /none of the runs has measured mood/,
    );
  }));

Deno.test("tag, note and archive write into the record, of a run that goes on, too", () =>
  withRuns(async ({ say, active, runs }) => {
    await say("tag", "first", "good", "base", HOSTILE);
    await say("tag", "first", "--remove", "base");
    await say("note", "first", "one", "two");
    await say("note", "first", "three", "--append");
    const record = await readRun((await listRuns(runs)).find(({ name }) => name === "first")!.dir);
    assert.deepEqual([record.tags, record.notes], [["good", HOSTILE], "one two\nthree"]);
    assert.deepEqual(JSON.parse(await say("tag", active.id, "late", "--json")).tags, [HOSTILE, "late"]);
    active.log({ step: 2, x: 1 });
    active.finish();
    assert.deepEqual((await readRun(active.dir)).tags, [HOSTILE, "late"]);
    await say("archive", "first", "second");
    assert.doesNotMatch(await say(), /first|second/);
    assert.match(await say("--all"), /first/);
    assert.match(await say("--where", "archived"), /second/);
    await say("archive", "first", "--undo");
    assert.match(await say(), /first/);
    await refused(say("tag", "first"), /no tags were given/);
  }));

Deno.test("rm removes after a yes, all that is in the folder and nothing else, and never a run that goes on", () =>
  withRuns(async ({ dir, runs, active, say }) => {
    const names = async () => (await listRuns(runs)).map(({ name }) => name).sort();
    await refused(say("rm", "first"), /nobody to ask.*--yes/);
    await refused(say("rm", "first", active.id, "--yes"), /is being written and was not removed/);
    assert.equal((await names()).length, 3);
    await Deno.writeTextFile(join(dir, "mine.txt"), "stays");
    const first = (await listRuns(runs)).find(({ name }) => name === "first")!;
    await Deno.symlink(join(dir, "mine.txt"), join(first.dir, "artifacts/link"));
    await refused(say("rm", dir, "--yes"), /there is no run/);
    await refused(say("rm", `${first.dir}/..`, "--yes"), /there is no run/);
    assert.match(await say("rm", "first", "second", "--yes"), /^removed first_\S+\nremoved second_\S+\n$/);
    assert.equal((await names()).length, 1);
    assert.deepEqual(Array.from(Deno.readDirSync(runs)).length, 1);
    assert.equal(await Deno.readTextFile(join(dir, "mine.txt")), "stays");
  }));

Deno.test("tail shows the last lines and follows a run of another process until it ends", () =>
  withRuns(async ({ dir, say }) => {
    assert.match(
      await say("tail", "first", "-n", "2"),
      /^\S+ {2}step 19 {2}val_loss 1\.05\n\S+ {2}step 20 {2}val_loss 1\n$/,
    );
    assert.match(await say("tail", "first", "--stream", "samples"), /step 20\nCall me Ishmael\nagain\n$/);
    assert.equal(JSON.parse(await say("tail", "first", "--json", "-n", "3")).lines.length, 3);
    const writer = join(dir, "writer.ts");
    await Deno.writeTextFile(
      writer,
      `import { startRun } from ${JSON.stringify(import.meta.resolve("../../experiments/mod.ts"))};
       const run = await startRun({ name: "other", runs_dir: ${JSON.stringify(join(dir, "runs"))} });
       run.log({ step: 1, x: 1 });
       console.log("begun");
       await Deno.stdin.read(new Uint8Array(1)); // until the test has seen the first line
       run.log({ step: 2, x: 2 });
       run.finish();`,
    );
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", join(import.meta.dirname!, "../../deno.json"), writer],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    const tail = start(dir, ["runs", "tail", "other"]);
    let seen = "";
    for await (const piece of tail.stdout.pipeThrough(new TextDecoderStream())) {
      seen += piece;
      if (seen.includes("step 1") && !child.stdin.locked) {
        await child.stdin.getWriter().write(new Uint8Array([10]));
      }
    }
    assert.match(seen, /step 1 {2}x 1\n.*step 2 {2}x 2\n$/);
    assert.equal((await tail.status).code, 0);
    await reader.cancel();
    await child.status;
    await tail.stderr.cancel();
  }));

Deno.test("the command line lists and exports; errors are one line, with --json one object", () =>
  withRuns(async ({ dir }) => {
    const list = await chatgot(dir, "runs", "--json", "--where", "state = completed");
    assert.equal(JSON.parse(list.out).runs.length, 1);
    const csv = await chatgot(dir, "runs", "export", "first", "--format", "csv");
    assert.equal(csv.out.trim().split("\r\n").length, 21);
    const written = await chatgot(
      dir,
      "runs",
      "export",
      "first",
      "--format=tensorboard",
      "--to=tb",
      "--json",
    );
    assert.match(JSON.parse(written.out).files[0], /^tb\/first_.*\/events\.out\.tfevents/);
    const wrong = await chatgot(dir, "runs", "show", "fist", "--json");
    assert.deepEqual([wrong.code, JSON.parse(wrong.out).error.hint, wrong.err], [
      1,
      "did you mean first?",
      "",
    ]);
    const plain = await chatgot(
      dir,
      "runs",
      "export",
      "first",
      "--format",
      "mlflow",
      "--to",
      "http://127.0.0.1:9",
    );
    assert.match(plain.err, /^error: the MLflow server at 127\.0\.0\.1:9 cannot be reached.*\n$/);
  }));

Deno.test("without permission for its address, an export says how to get there", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await makeManyRuns(join(dir, "runs"), { runs: 1, points: 3 });
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--no-check",
        "--allow-read",
        "--allow-env",
        "--allow-sys=hostname",
        "--config",
        join(import.meta.dirname!, "../../deno.json"),
        join(import.meta.dirname!, "../../mod.ts"),
        ...["runs", "export", "sweep", "--format", "mlflow", "--to", "http://mlflow.example:5000"],
      ],
      env: { INIT_CWD: dir, NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { code, err } = await ended(child);
    assert.equal(code, 1);
    assert.match(
      err,
      /^error: Deno was not allowed to reach mlflow\.example:5000 \(make a tunnel.*--allow-net=mlflow\.example:5000/,
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
