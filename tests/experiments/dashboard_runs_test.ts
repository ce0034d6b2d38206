/** What the dashboard answers of runs: table, run, curves, news, changes, experiments, and runs in a bad state. */

import assert from "assert";
import { join } from "path";
import { createRun, readRun } from "../../experiments/mod.ts";
import { placeRun, raw, type Served, withDashboard } from "./dashboard_support.ts";

/** Names that somebody might give to do harm. */
const HOSTILE = [
  "<script>alert(1)",
  "a&b=c#d?e",
  "🐳🐳",
  "%2e%2e%2f",
  "'; drop table",
  "x".repeat(240),
  "con fig\u202egnp.exe",
  "__proto__",
];

Deno.test("runs of any name are listed, opened and compared under that name", () =>
  withDashboard(async ({ runs, ask }) => {
    for (const id of HOSTILE) {
      await placeRun(runs, id, { "run.json": { name: "x".repeat(10_000), tags: [id], notes: id } });
    }
    const { answer } = await ask("/api/runs");
    assert.deepEqual(answer.rows.map((row: { id: string }) => row.id).sort(), [...HOSTILE].sort());
    for (const id of HOSTILE) {
      const run = await ask(`/api/runs/${encodeURIComponent(id)}`);
      assert.deepEqual([run.status, run.answer.id, run.answer.notes], [200, id, id]);
    }
    const query = new URLSearchParams([...HOSTILE.map((id) => ["run", id]), ["metric", "train_loss"]]);
    const { series } = (await ask(`/api/series?${query}`)).answer;
    assert.deepEqual(series.map((s: { run: string }) => s.run), HOSTILE);
    assert.deepEqual(series[0].y, [3, 2, 1]);
  }));

Deno.test("the table is sorted, paged and given the columns that are asked for", () =>
  withDashboard(async ({ runs, ask }) => {
    for (let i = 0; i < 25; i++) {
      await placeRun(runs, `run_${i}`, {
        "run.json": {
          format_version: 2,
          name: `run ${i}`,
          status: "completed",
          created: `2026-11-24T12:00:${10 + i}.000Z`,
          config: { model: { n_layer: i % 3 }, data: { corpus: i % 2 ? "sotu" : "moby-dick" } },
        },
        "metrics.jsonl": i === 7
          ? []
          : [{ step: 1, val_loss: 9 }, { step: 2, val_loss: (i * 7) % 25 }, { step: 3, val_loss: 30 + i }],
      });
    }
    const ids = (answer: { rows: { id: string }[] }) => answer.rows.map(({ id }) => id);
    const newest = (await ask("/api/runs?limit=10")).answer;
    assert.deepEqual([newest.total, newest.all, ids(newest)[0]], [25, 25, "run_24"]);
    const second = (await ask("/api/runs?limit=10&offset=20")).answer;
    assert.deepEqual(ids(second), ["run_4", "run_3", "run_2", "run_1", "run_0"]);
    const best = (await ask(
      "/api/runs?limit=3&sort=val_loss.min&column=val_loss.min&column=val_loss&column=model.n_layer&column=nothing",
    )).answer;
    // (i · 7) mod 25 is least for 0, 18, 11; the run without values comes last, either way.
    assert.deepEqual(best.rows.map((row: { cells: unknown[] }) => row.cells), [[0, 30, 0, null], [
      1,
      48,
      0,
      null,
    ], [2, 41, 2, null]]);
    assert.deepEqual(ids((await ask("/api/runs?limit=25&sort=val_loss.min")).answer).at(-1), "run_7");
    assert.deepEqual(ids((await ask("/api/runs?limit=25&sort=val_loss.min&desc")).answer).at(-1), "run_7");
    // The filter's language is that of `chatgot runs`; words without one are looked for in names, tags and notes.
    const found = (await ask(
      `/api/runs?where=${encodeURIComponent("val_loss.min < 8 and n_layer = 2 and not corpus = sotu")}`,
    )).answer;
    const expected = Array.from({ length: 25 }, (_, i) => i).filter((i) =>
      i !== 7 && (i * 7) % 25 < 8 && i % 3 === 2 && i % 2 === 0
    );
    assert.ok(expected.length > 0);
    assert.deepEqual(ids(found).sort(), expected.map((i) => `run_${i}`).sort());
    assert.deepEqual(ids((await ask("/api/runs?where=RUN%20_24")).answer), ["run_24"]);
    for (
      const [where, why] of [["n_layer =", /expected a value/], ["n_laier = 2", /did you mean n_layer/], [
        "(",
        /expected a name/,
      ]] as const
    ) {
      const { status, answer } = await ask(`/api/runs?where=${encodeURIComponent(where)}`);
      assert.equal(status, 400);
      assert.match(answer.error.message, why);
    }
    assert.equal((await ask("/api/runs?sort=nonsense")).status, 400);
    const columns = newest.columns.flatMap((group: { names: string[] }) => group.names);
    for (const name of ["created", "val_loss", "val_loss.min", "model.n_layer", "data.corpus"]) {
      assert.ok(columns.includes(name), name);
    }
  }));

Deno.test("curves come thinned and smoothed, by step, tokens, time and FLOPs, with best point and seams", () =>
  withDashboard(async ({ runs, ask }) => {
    const lines = Array.from({ length: 5000 }, (_, i) => ({
      step: i + 1,
      tokens: (i + 1) * 8,
      time: new Date(Date.UTC(2026, 10, 24, 12) + (i + 1) * 1000 + (i >= 3000 ? 3_600_000 : 0)).toISOString(),
      train_loss: i === 4321 ? 0.5 : i === 1234 ? 99 : 2,
    }));
    const resumed = [{
      step: 3000,
      time: new Date(Date.UTC(2026, 10, 24, 12) + 3_000_000 + 3_600_000).toISOString(),
    }];
    await placeRun(runs, "long", {
      "run.json": {
        format_version: 2,
        created: "2026-11-24T12:00:00.000Z",
        status: "completed",
        resumed,
        flops_per_token: 100,
      },
      "metrics.jsonl": lines,
    });
    const ask1 = async (query: string) =>
      (await ask(`/api/series?run=long&metric=train_loss&buckets=100&${query}`)).answer.series[0];
    const plain = await ask1("x=step");
    assert.ok(plain.x.length <= 400 && plain.count === 5000);
    assert.ok(plain.y.includes(0.5) && plain.y.includes(99));
    assert.deepEqual(plain.best, { step: 4322, x: 4322, y: 0.5 });
    assert.deepEqual(plain.seams, [3000]);
    assert.deepEqual((await ask1("x=tokens")).best.x, 4322 * 8);
    assert.deepEqual((await ask1("x=flops")).best.x, 4322 * 800);
    const time = await ask1("x=time");
    assert.deepEqual([time.best.x, time.x.at(-1)], [4322, 5000]); // the hour's pause is no training
    const smooth = await ask1("x=step&smoothing=0.9&raw");
    assert.ok(Math.max(...smooth.y) < 12 && Math.max(...smooth.raw.y) === 99);
  }));

Deno.test("what is not finite leaves a gap, a torn line is passed over and told, nothing else is lost", () =>
  withDashboard(async ({ runs, ask }) => {
    await placeRun(runs, "torn", {
      "metrics.jsonl":
        '{"step":1,"train_loss":4}\n{"step":2,"train_loss":null}\nnonsense\n{"step":3,"train_loss":2}\n{"step":4,"trai',
    });
    const { series } = (await ask("/api/series?run=torn&metric=train_loss")).answer;
    assert.deepEqual([series[0].x, series[0].y], [[1, 2, 3], [4, null, 2]]);
    const { problems, metrics } = (await ask("/api/runs/torn")).answer;
    assert.match(problems.join(), /1 broken line/);
    assert.equal(metrics[0].last, 2);
  }));

Deno.test("half-copied, foreign, damaged and newer folders are shown for what they are", () =>
  withDashboard(async ({ runs, ask }) => {
    await placeRun(runs, "whole");
    await placeRun(runs, "newer", {
      "run.json": { format_version: 99, name: "from tomorrow", status: "dreaming", tags: "none", summary: 7 },
    });
    await placeRun(runs, "damaged", {
      "run.json": "{",
      "config.yaml": "a: [",
      "samples.jsonl": '{"step":"one"}\n{"step":2,"text":{"a":1}}\n[]\n',
      "events.jsonl": "\x00\x01\n",
    });
    await placeRun(runs, "half");
    await Deno.remove(join(runs, "half", "run.json"));
    await Deno.mkdir(join(runs, "photos"));
    await Deno.writeTextFile(join(runs, "a file"), "");
    await Deno.mkdir(join(runs, "odd", "metrics.jsonl"), { recursive: true });
    const { answer } = await ask("/api/runs");
    const row = (id: string) => answer.rows.find((each: { id: string }) => each.id === id);
    assert.deepEqual(row("whole").problems, []);
    assert.deepEqual([row("newer").name, row("newer").state], ["from tomorrow", "unknown"]);
    assert.match(row("newer").problems.join(), /newer than this version/);
    assert.match(row("half").problems.join(), /run\.json is missing/);
    assert.match(row("damaged").problems.join(), /run\.json/);
    assert.deepEqual(answer.foreign, ["photos"]);
    for (const { id } of answer.rows) {
      for (const path of ["", "/samples"]) {
        assert.equal((await ask(`/api/runs/${id}${path}`)).status, 200, id + path);
      }
    }
    assert.deepEqual((await ask("/api/runs/damaged/samples")).answer, [
      { step: null, time: null, prompt: "", text: "null" },
      { step: 2, time: null, prompt: "", text: '{"a":1}' },
    ]);
  }));

/** The events of `/api/live` as they come. */
async function* news({ origin }: Served, query: string): AsyncGenerator<{ list: boolean; runs: string[] }> {
  const response = await fetch(`${origin}/api/live?${query}`);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  let text = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
      if (data !== undefined) yield JSON.parse(data);
    }
  }
}

Deno.test("news tell which run changed, and when a run comes to the list", () =>
  withDashboard(async (served) => {
    const run = await createRun({
      runs_dir: served.runs,
      config_name: "tiny",
      config_yaml: "{}",
      seed: 1,
      adapter: "none",
      kernel_choices: {},
    });
    const id = run.dir.split(/[/\\]/).at(-1)!;
    const events = news(served, `list&run=${id}`);
    // Lines keep coming: what is written before the first look is no news.
    const writing = setInterval(() => run.metrics({ step: 1, tokens: 8, train_loss: 4 }), 50);
    const first = (await events.next()).value!;
    assert.deepEqual(first, { list: true, runs: [id] });
    clearInterval(writing);
    await placeRun(served.runs, "another");
    let change = first;
    while (change.runs.length > 0 || !change.list) change = (await events.next()).value!;
    assert.deepEqual(change, { list: true, runs: [] });
    await events.return(undefined);
    run.finish("completed", {});
  }));

Deno.test("with --write tags, notes and the archive are changed, from the dashboard's own page alone", () =>
  withDashboard(async ({ runs, port, origin, ask }) => {
    const run = await createRun({
      runs_dir: runs,
      config_name: "tiny",
      config_yaml: "{}",
      seed: 1,
      adapter: "none",
      kernel_choices: {},
    });
    run.finish("completed", {});
    const id = run.dir.split(/[/\\]/).at(-1)!;
    const own = { origin, "content-type": "application/json" };
    const change = (body: unknown, headers: Record<string, string> = own, path = `/api/runs/${id}`) =>
      raw(port, `POST ${path}`, headers, typeof body === "string" ? body : JSON.stringify(body));
    assert.equal((await change({ add_tags: ["good", "<b>", "good"], notes: "of note" })).status, 200);
    assert.equal((await change({ remove_tags: ["<b>"], archived: true })).status, 200);
    const { tags, notes, archived } = await readRun(run.dir);
    assert.deepEqual({ tags, notes, archived }, { tags: ["good"], notes: "of note", archived: true });
    assert.deepEqual((await ask("/api/runs")).answer.rows, []);
    assert.equal((await ask("/api/runs?archived")).answer.rows.length, 1);
    const refused: [unknown, Record<string, string>, number][] = [
      [{ notes: "x" }, { ...own, origin: "http://evil.example" }, 403],
      [{ notes: "x" }, { ...own, origin: `http://127.0.0.1:${port + 1}` }, 403],
      [{ notes: "x" }, { ...own, origin: "null" }, 403],
      [{ notes: "x" }, { "content-type": "application/json" }, 403],
      [{ notes: "x" }, { origin, "content-type": "text/plain" }, 415],
      [{ notes: "x" }, { origin, "content-type": "application/x-www-form-urlencoded" }, 415],
      ["{", own, 400],
      ["[]", own, 400],
      [{ status: "completed" }, own, 400],
      [{ add_tags: [""] }, own, 400],
      [{ add_tags: ["x".repeat(300)] }, own, 400],
      [{ notes: 5 }, own, 400],
      [{ notes: "x".repeat(2_000_000) }, own, 413],
    ];
    for (const [body, headers, status] of refused) {
      assert.equal(
        (await change(body, headers)).status,
        status,
        JSON.stringify([body, headers]).slice(0, 200),
      );
    }
    assert.equal((await change({ notes: "x" }, own, "/api/runs/none")).status, 404);
    assert.equal((await change({ notes: "x" }, own, "/api/runs")).status, 405);
    assert.equal((await change({ notes: "x" }, own, "/")).status, 405);
    assert.equal((await readRun(run.dir)).notes, "of note");
  }, { write: true }));

Deno.test("experiments are those with a folder, whatever is in it, and the runs that name the same parent", () =>
  withDashboard(async ({ runs, port, ask }) => {
    const member = (id: string, seed: number, parent: string) =>
      placeRun(runs, id, {
        "run.json": {
          format_version: 2,
          name: id,
          status: "completed",
          parents: [parent],
          seed,
          config: { training: { seed } },
        },
      });
    await member("a1", 1, "sweep");
    await member("a2", 2, "sweep");
    await member("b1", 1, "attention_1");
    const folder = join(runs, "experiments", "attention_1");
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "report.html"), "<h1>found</h1>");
    await Deno.writeTextFile(
      join(folder, "experiment.json"),
      JSON.stringify({
        format_version: 1,
        status: "running",
        created: "2026-11-24T12:00:00.000Z",
        config: { name: "attention", description: "which?", metrics: ["val_loss", 7] },
        variants: [{ name: "causal", values: { "model.attention": "causal" } }],
        runs: [{ variant: "causal", seed: 1, status: "begun", run: "b1" }, {
          variant: "causal",
          seed: 2,
          status: "pending",
          run: null,
        }],
      }),
    );
    await Deno.mkdir(join(runs, "experiments", "broken"));
    await Deno.writeTextFile(join(runs, "experiments", "broken", "experiment.json"), "[");
    const list = (await ask("/api/experiments")).answer;
    assert.deepEqual(
      list.map(({ id, done, runs }: { id: string; done: number; runs: number }) => [id, done, runs]).sort(),
      [["attention_1", 1, 2], ["broken", 0, 0], ["sweep", 2, 2]],
    );
    const one = (await ask("/api/experiments/attention_1")).answer;
    assert.equal(one.name, "attention");
    assert.deepEqual(one.variants[0].runs.map((run: { status: string }) => run.status), [
      "completed",
      "pending",
    ]);
    assert.deepEqual(one.files.map((file: { path: string }) => file.path), [
      "experiment.json",
      "report.html",
    ]);
    const group = (await ask("/api/experiments/sweep")).answer;
    assert.deepEqual(
      group.variants.map((v: { runs: { seed: number }[] }) => v.runs.map(({ seed }) => seed).sort()),
      [[1, 2]],
    );
    assert.match((await ask("/api/experiments/broken")).answer.problems.join(), /experiment\.json/);
    const report = await raw(port, "GET /api/experiments/attention_1/files/report.html");
    assert.equal(report.body, "<h1>found</h1>");
    assert.match(report.headers["content-security-policy"]!, /^sandbox/);
    for (
      const path of [
        "/api/experiments/none",
        "/api/experiments/..",
        "/api/experiments/..%2fa1",
        "/api/experiments/attention_1/files/..%2f..%2f..%2fa1%2frun.json",
      ]
    ) {
      assert.equal((await raw(port, `GET ${path}`)).status, 404, path);
    }
    assert.deepEqual((await ask("/api/runs")).answer.foreign, []);
  }));

Deno.test("two read a run while a third writes it, and both see every line in the end", () =>
  withDashboard(async ({ runs, ask }) => {
    const run = await createRun({
      runs_dir: runs,
      config_name: "tiny",
      config_yaml: "{}",
      seed: 1,
      adapter: "none",
      kernel_choices: {},
    });
    const id = run.dir.split(/[/\\]/).at(-1)!;
    const read = async () =>
      (await ask(`/api/series?run=${id}&metric=train_loss&buckets=4000`)).answer.series[0]?.x.length ?? 0;
    let before = 0;
    for (let step = 1; step <= 300; step++) {
      run.metrics({ step, tokens: step, train_loss: 1 / step });
      if (step % 60 !== 0) continue;
      const [a, b] = await Promise.all([read(), read()]);
      assert.equal(a, step);
      assert.equal(b, step);
      assert.ok(a > before);
      before = a;
    }
    run.finish("completed", {});
  }));
