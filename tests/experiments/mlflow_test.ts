/** Exports to MLflow, against a server that holds every request to the published API and its limits. */

import assert from "assert";
import fc from "fast-check";
import { join } from "path";
import { UserError } from "../../common/mod.ts";
import { sendToMlflow } from "../../experiments/export/mlflow.ts";
import { batches, mlflowKeys } from "../../experiments/export/mlflow_limits.ts";
import { listRuns, type RunEntry, startRun, type StartRunOptions } from "../../experiments/mod.ts";
import { MlflowTestServer } from "./mlflow_server.ts";

/** Makes a run in a folder of its own, with as many lines, and gives its entry to a test. */
async function withRun(
  options: StartRunOptions,
  lines: (step: number) => Record<string, number>,
  count: number,
  test: (run: RunEntry, server: MlflowTestServer) => Promise<void>,
): Promise<void> {
  const runs_dir = await Deno.makeTempDir();
  try {
    const run = await startRun({ ...options, runs_dir });
    for (let step = 1; step <= count; step++) run.log({ step, ...lines(step) });
    run.finish();
    await using server = new MlflowTestServer();
    await test((await listRuns(runs_dir))[0]!, server);
  } finally {
    await Deno.remove(runs_dir, { recursive: true });
  }
}

Deno.test("a run arrives with every metric, its configuration, tags and times, in batches that are small enough", () =>
  withRun(
    {
      name: "first",
      config: {
        model: { n_layer: 4, bias: true },
        keys: Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`k${i}`, i])),
      },
      tags: ["a", "b"],
      notes: "a try",
    },
    (step) => ({ loss: step === 7 ? NaN : 1 / step, rate: 0.1, tokens: step * 10 }),
    1300,
    async (run, server) => {
      const [sent] = await sendToMlflow([run], server.address, "mine");
      const stored = server.runs.get(sent!.mlflow_run_id)!;
      assert.deepEqual([stored.run_name, stored.status], ["first", "FINISHED"]);
      assert.equal(stored.start_time, Date.parse(run.created!));
      assert.equal(stored.end_time, Date.parse(run.ended!));
      assert.equal(stored.metrics.length, 2600);
      const losses = stored.metrics.filter(({ key }) => key === "loss");
      assert.deepEqual(losses.map(({ step }) => step), Array.from({ length: 1300 }, (_, i) => i + 1));
      losses.forEach(({ value, step }) => assert.equal(value, step === 7 ? NaN : 1 / step));
      assert.ok(losses.every(({ timestamp }) => timestamp >= stored.start_time));
      assert.equal(stored.params.size, 152);
      assert.deepEqual([stored.params.get("model.n_layer"), stored.params.get("model.bias")], ["4", "true"]);
      assert.equal(stored.tags.get("chatgot.tags"), '["a","b"]');
      assert.equal(stored.tags.get("mlflow.note.content"), "a try");
      assert.equal(stored.tags.get("chatgot.run"), run.id);
      // A second export goes into the same experiment, as a run of its own.
      const [again] = await sendToMlflow([run], `${server.address}/`, "mine");
      assert.equal(again!.mlflow_experiment_id, sent!.mlflow_experiment_id);
      assert.equal(server.runs.size, 2);
    },
  ));

Deno.test("hostile and long names and values arrive as ones that MLflow takes, and stay apart", () => {
  const odd = [
    "../../etc",
    "<script>",
    "<scripT>",
    "x".repeat(10_000),
    "🐳",
    "🔥",
    "",
    "/",
    "a//b",
    "a/./b",
    ".",
  ];
  return withRun(
    {
      name: "x".repeat(10_000),
      notes: "🐳".repeat(6000),
      tags: odd,
      config: Object.fromEntries(odd.map((name, i) => [name, i === 0 ? "y".repeat(10_000) : name])),
    },
    () => Object.fromEntries(odd.map((name, i) => [name, i])),
    2,
    async (run, server) => {
      const [sent] = await sendToMlflow([run], server.address, "🐳".repeat(600));
      const stored = server.runs.get(sent!.mlflow_run_id)!;
      const keys = new Set(stored.metrics.map(({ key }) => key));
      assert.equal(keys.size, odd.length, [...keys].join(" "));
      assert.equal(stored.metrics.length, 2 * odd.length);
      assert.equal(stored.params.size, Object.keys(run.config).length);
    },
  );
});

Deno.test("mlflowKeys() gives names that are taken, each its own, and leaves fine ones alone", () => {
  const isTaken = (key: string) =>
    key.length > 0 && key.length <= 250 && /^[/\w.\- ]*$/.test(key) &&
    key.split("/").every((part) => !/^\.{0,2}$/.test(part));
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.oneof(fc.string(), fc.constantFrom("a", "a_2", "a?", "a!", "..", "a/.."))),
      (names) => {
        const keys = mlflowKeys(names);
        for (const name of names) {
          assert.ok(isTaken(keys.get(name)!), JSON.stringify([name, keys.get(name)]));
          if (isTaken(name)) assert.equal(keys.get(name), name);
        }
        assert.equal(new Set(keys.values()).size, names.length);
      },
    ),
  );
});

Deno.test("batches() keeps order and every limit", () => {
  const metrics = Array.from(
    { length: 2500 },
    (_, i) => ({ key: "k".repeat(i % 250 + 1), value: i, timestamp: i, step: i }),
  );
  const params = Array.from({ length: 250 }, (_, i) => ({ key: `p${i}`, value: "v".repeat(6000) }));
  const tags = Array.from({ length: 120 }, (_, i) => ({ key: `t${i}`, value: "🐳".repeat(5000) }));
  const all = [...batches({ metrics, params, tags })];
  assert.deepEqual(all.flatMap((batch) => batch.metrics), metrics);
  assert.deepEqual(all.flatMap((batch) => batch.params), params);
  assert.deepEqual(all.flatMap((batch) => batch.tags), tags);
  for (const batch of all) {
    assert.ok(
      new TextEncoder().encode(JSON.stringify({ run_id: "x".repeat(256), ...batch })).length <= 1_000_000,
    );
    assert.ok(batch.params.length <= 100 && batch.tags.length <= 100);
    assert.ok(batch.metrics.length + batch.params.length + batch.tags.length <= 1000);
  }
  assert.deepEqual([...batches({ metrics: [], params: [], tags: [] })], []);
});

Deno.test("a server that is not there, refuses, or speaks no JSON is a user's error", () =>
  withRun({}, () => ({ loss: 1 }), 1, async (run, server) => {
    const told = (address: string, message: RegExp) =>
      assert.rejects(sendToMlflow([run], address, "e"), (error) => {
        assert.ok(error instanceof UserError, String(error));
        assert.match(error.describe(), message);
        return true;
      });
    await told("127.0.0.1:5000", /is no address of a server/);
    await told("ftp://127.0.0.1", /is no address of a server/);
    await told("http://127.0.0.1:9", /cannot be reached/);
    await told(`${server.address}/elsewhere`, /refused experiments\/get-by-name \(404\): ENDPOINT_NOT_FOUND/);
    const other = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      () => new Response("<html>", { status: 502 }),
    );
    await told(`http://localhost:${other.addr.port}`, /refused .*\(502\):.*<html>/);
    await other.shutdown();
    await assert.rejects(sendToMlflow([run], server.address, " "), /--experiment must have a name/);
  }));

Deno.test("what goes on is running there, and what was killed is killed", async () => {
  const runs_dir = await Deno.makeTempDir();
  try {
    await using server = new MlflowTestServer();
    const active = await startRun({ runs_dir });
    const statusOf = async () => {
      const [sent] = await sendToMlflow(await listRuns(runs_dir), server.address, "e");
      const { status, end_time } = server.runs.get(sent!.mlflow_run_id)!;
      return [status, end_time === undefined];
    };
    assert.deepEqual(await statusOf(), ["RUNNING", true]);
    active.finish("failed");
    assert.deepEqual(await statusOf(), ["FAILED", false]);
    const file = join(active.dir, "run.json");
    await Deno.writeTextFile(file, (await Deno.readTextFile(file)).replace('"failed"', '"running"'));
    assert.deepEqual(await statusOf(), ["KILLED", false]);
  } finally {
    await Deno.remove(runs_dir, { recursive: true });
  }
});
