/** The JSON Schemas that ship: the same as the code's, and true of real runs, by a validator that knows nothing of us. */

import { Ajv2020 } from "ajv";
import assert from "assert";
import { join } from "path";
import { readJson } from "../../common/mod.ts";
import { jsonSchemas, readLines, readRun } from "../../experiments/mod.ts";
import { ROOT } from "../house/files.ts";
import { inFolder, TINY_CONFIG, trainIn } from "../pipeline/training_support.ts";
import { makeManyRuns } from "./many_runs.ts";

const STREAMS = ["metrics", "samples", "system", "events"] as const;
const NAMES = ["run", ...STREAMS] as const;

const shipped = (name: string) => readJson(join(ROOT, "docs/formats/schemas", `${name}.json`));

/** Checks of values by the shipped schemas; a date's form stands in a pattern, too. */
async function validators() {
  const ajv = new Ajv2020({ validateFormats: false, allErrors: true });
  const checks = await Promise.all(NAMES.map(async (name) => {
    const validate = ajv.compile(await shipped(name) as object);
    return [
      name,
      (value: unknown) =>
        validate(value) ? [] : validate.errors!.map((e) => `${e.instancePath} ${e.message}`),
    ];
  }));
  return Object.fromEntries(checks) as Record<typeof NAMES[number], (value: unknown) => string[]>;
}

async function checkRun(dir: string): Promise<number> {
  const faults = await validators();
  assert.deepEqual(faults.run(await readJson(join(dir, "run.json"))), []);
  let lines = 0;
  for (const stream of STREAMS) {
    for (const line of readLines(dir, stream)) {
      assert.deepEqual(faults[stream](line), [], JSON.stringify(line));
      lines++;
    }
  }
  return lines;
}

Deno.test("the shipped schemas are the code's (scripts/write_schemas.ts writes them)", async () => {
  const schemas = jsonSchemas();
  assert.deepEqual(Object.keys(schemas), [...NAMES]);
  for (const name of NAMES) assert.deepEqual(await shipped(name), JSON.parse(JSON.stringify(schemas[name])));
});

Deno.test("a training that was resumed and one that failed satisfy the schemas", () =>
  inFolder(async (dir) => {
    const first = await trainIn(dir, { max_steps: 20 });
    const { tags, notes } = await readRun(first.dir);
    assert.deepEqual([tags, notes], [["tiny"], "a try"]);
    assert.ok(await checkRun(first.dir) > 20);
    await trainIn(dir, { max_steps: 24 }, { resume: first.dir });
    await checkRun(first.dir);
    assert.deepEqual(
      readLines(first.dir, "events").filter(({ type }) => type === "started" || type === "ended").length,
      3,
    );
    await assert.rejects(trainIn(dir, { learning_rate: 1e30, max_steps: 30 }, { name: "failing" }));
    const names = Array.from(Deno.readDirSync(join(dir, "runs")), ({ name }) => name);
    await checkRun(join(dir, "runs", names.find((name) => name.startsWith("failing"))!));
  }, TINY_CONFIG.replace("runs_dir: runs", "runs_dir: runs, tags: [tiny], notes: a try")));

Deno.test("the runs that tests make in masses satisfy the schemas", () =>
  inFolder(async (dir) => {
    for (const id of await makeManyRuns(dir, { runs: 8, points: 30 })) await checkRun(join(dir, id));
  }));

Deno.test("the schemas refuse what is no line", async () => {
  const faults = await validators();
  const line = { step: 1, time: "2026-11-24T12:00:00.000Z" };
  assert.deepEqual(faults.metrics({ ...line, loss: null }), []);
  assert.ok(faults.metrics({ ...line, loss: "low" }).length > 0);
  assert.ok(faults.metrics({ time: line.time, loss: 1 }).length > 0);
  assert.ok(faults.metrics({ ...line, time: "yesterday" }).length > 0);
  assert.deepEqual(faults.events({ ...line, type: "extended", max_steps: 3 }), []);
  assert.ok(faults.events({ ...line, type: "ended", status: "levitating" }).length > 0);
  assert.ok(faults.events(line).length > 0);
  assert.ok(faults.run({ format_version: 1 }).length > 0);
});
