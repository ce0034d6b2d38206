/** DuckDB, jq and plain JavaScript read the same numbers from a run's files as we do: the one-liners of docs/tracking.md. */

import { DuckDBInstance } from "@duckdb/node-api";
import assert from "assert";
import { join } from "path";
import { listRuns, readMetrics, type RunEntry } from "../../experiments/mod.ts";
import { makeManyRuns } from "./many_runs.ts";

/** Gives a test a folder of runs, of which the fourth ended in NaN and the eighth was killed within a line. */
async function withRuns(test: (dir: string, runs: RunEntry[]) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const ids = await makeManyRuns(dir, { runs: 9, points: 100 });
    await Deno.writeTextFile(join(dir, ids[7]!, "metrics.jsonl"), '{"step":1010,"train', { append: true });
    await test(dir, (await listRuns(dir)).sort((a, b) => a.id < b.id ? -1 : 1));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** `[id, step, loss]` of every line, as we read it. */
const ours = (runs: RunEntry[], metric: string) =>
  runs.flatMap((run) => {
    const { step, value } = readMetrics(run)[metric]!;
    return step.map((at, i) => [run.id, at, Number.isNaN(value[i]) ? null : value[i]!]);
  });

Deno.test("plain JavaScript", () =>
  withRuns(async (_dir, runs) => {
    const theirs = await Promise.all(runs.map(async ({ id, dir }) => {
      const text = await Deno.readTextFile(join(dir, "metrics.jsonl"));
      const lines = text.split("\n").slice(0, -1).map((line) => JSON.parse(line)); // what follows the last end is torn
      return lines.filter((line) => "val_loss" in line).map((line) => [id, line.step, line.val_loss]);
    }));
    assert.deepEqual(theirs.flat(), ours(runs, "val_loss"));
  }));

Deno.test("DuckDB over all runs at once, and their records", () =>
  withRuns(async (dir, runs) => {
    const database = await DuckDBInstance.create(":memory:");
    const connection = await database.connect();
    const rows = async (sql: string) => (await connection.runAndReadAll(sql)).getRows();
    const read = (name: string) =>
      `read_json_auto('${dir}/*/${name}', filename = true, union_by_name = true, ignore_errors = true)`;
    const metrics = await rows(
      `select parse_path(filename)[-2], step::double, train_loss from ${read("metrics.jsonl")}
       where step <= 1000 order by filename, step`,
    );
    assert.deepEqual(metrics, ours(runs, "train_loss"));
    const records = await rows(
      `select id, config.model.n_layer::double, metrics_summary.by_name.val_loss.min from ${
        read("run.json")
      } order by id`,
    );
    assert.deepEqual(
      records,
      runs.map((
        { id, config, metrics, state },
      ) => [id, config["model.n_layer"], state === "killed" ? null : metrics.by_name.val_loss!.min]),
    );
    connection.closeSync();
    database.closeSync();
  }));

function hasJq(): boolean {
  try {
    return new Deno.Command("jq", { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "jq (skipped where there is none)",
  ignore: !hasJq(),
  fn: () =>
    withRuns(async (_dir, runs) => {
      for (const run of runs.filter(({ state }) => state !== "killed")) {
        const { stdout, success } = await new Deno.Command("jq", {
          args: [
            "-r",
            'select(has("val_loss")) | [.step, .val_loss] | @json',
            join(run.dir, "metrics.jsonl"),
          ],
        }).output();
        assert.ok(success);
        const rows = new TextDecoder().decode(stdout).trim().split("\n").map((
          line,
        ) => [run.id, ...JSON.parse(line)]);
        assert.deepEqual(rows, ours([run], "val_loss"));
      }
    }),
});
