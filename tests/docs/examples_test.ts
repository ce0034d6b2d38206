/**
 * The examples of docs/examples, run as a reader runs them: the script, the analysis of runs, and the notebook by Jupyter with
 * Deno's kernel, where Jupyter is (Debian: jupyter-nbconvert).
 */

import assert from "assert";
import { join } from "path";
import { DOMParser } from "@xmldom/xmldom";
import { startRun } from "../../mod.ts";
import { loadModel } from "../../models/mod.ts";
import { ROOT } from "../house/files.ts";

const EXAMPLES = join(ROOT, "docs/examples");

/** Runs a program in a folder, in which also all relative paths of the examples begin. */
async function run(
  program: string,
  args: string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env: { NO_COLOR: "1", INIT_CWD: cwd, ...env },
  }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

const example = (name: string, args: string[], cwd: string) =>
  run(Deno.execPath(), ["run", "--allow-all", join(EXAMPLES, name), ...args], cwd);

async function inTemp(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** The texts of a picture; throws if it is not well-formed. */
function textsOf(svg: string): string[] {
  const onError = (_level: string, message: string) => {
    throw new Error(message);
  };
  const document = new DOMParser({ onError }).parseFromString(svg, "image/svg+xml");
  return Array.from(document.getElementsByTagName("text"), (text) => text.textContent!);
}

/** The numbers of a printed table by column. */
function columnsOf(printed: string, header: string): Record<string, string[]> {
  const lines = printed.split("\n");
  const at = lines.findIndex((line) => line.trim().startsWith(header));
  const names = lines[at]!.trim().split(/\s{2,}/);
  const rows = lines.slice(at + 1).map((line) => line.trim().split(/\s{2,}/)).filter(({ length }) =>
    length === names.length
  );
  return Object.fromEntries(names.map((name, i) => [name, rows.map((row) => row[i]!)]));
}

Deno.test("train_and_look.ts trains, prints losses and a text, and leaves pictures and a model", () =>
  inTemp(async (dir) => {
    const { code, out, err } = await example("train_and_look.ts", ["pictures"], dir);
    assert.equal(code, 0, err);
    const { step, val_loss } = columnsOf(out, "step");
    assert.deepEqual(step, ["50", "100", "150", "200"]);
    assert.ok(Number(val_loss![3]) < Number(val_loss![0]) && Number(val_loss![0]) < 4.5, out); // ln 90 = 4.5 at first
    assert.match(out, /^Call me .{40}/m);
    assert.ok(textsOf(await Deno.readTextFile(join(dir, "pictures/loss.svg"))).includes("val_loss"));
    assert.ok(textsOf(await Deno.readTextFile(join(dir, "pictures/attention.svg"))).includes("head 1"));
    assert.equal((await loadModel(join(dir, "pictures/model"))).step, 200);
  }));

Deno.test("analyse_runs.ts lists the best run first and draws mean and spread of runs of one name", () =>
  inTemp(async (dir) => {
    const empty = await example("analyse_runs.ts", ["runs"], dir);
    assert.deepEqual([empty.code, empty.out], [1, ""]);
    assert.match(empty.err, /no run in runs/);

    for (const [name, end] of [["lion", 1.75], ["adamw", 1.5], ["lion", 1.25], ["adamw", 1]] as const) {
      using started = await startRun({ name, runs_dir: join(dir, "runs"), warn: () => {} });
      started.log({ step: 1, train_loss: 4 });
      for (const step of [10, 20]) started.log({ step, val_loss: end + (20 - step) / 10 });
      started.finish();
    }
    const { code, out, err } = await example("analyse_runs.ts", ["runs", "pictures"], dir);
    assert.equal(code, 0, err);
    const { name, state, steps, val_loss } = columnsOf(out, "id");
    assert.deepEqual(name, ["adamw", "lion", "adamw", "lion"]);
    assert.deepEqual(val_loss, ["1", "1.25", "1.5", "1.75"]);
    assert.deepEqual([...state!, ...steps!], [...Array(4).fill("completed"), ...Array(4).fill("20")]);
    const curves = await Deno.readTextFile(join(dir, "pictures/curves.svg"));
    assert.ok(textsOf(curves).includes("lion"));
    assert.match(
      curves,
      /adamw: 2 points, 2\.25 at 10 to 1\.25 at 20; lion: 2 points, 2\.5 at 10 to 1\.5 at 20/,
    );
    assert.match(await Deno.readTextFile(join(dir, "pictures/final.svg")), /adamw: 1\.25 \(1 to 1\.5\)/);
  }));

Deno.test("the code in docs/notebooks.md is right by its types", () =>
  inTemp(async (dir) => {
    const text = await Deno.readTextFile(join(ROOT, "docs/notebooks.md"));
    const blocks = [...text.matchAll(/```ts\n([^]*?)```/g)].map((match) => match[1]!);
    assert.ok(blocks.length > 0);
    const file = join(dir, "block.ts");
    const from = `"${import.meta.resolve("../../mod.ts")}"`;
    await Deno.writeTextFile(file, blocks.map((block) => block.replace('"./mod.ts"', from)).join("\n"));
    const { code, err } = await run(
      Deno.execPath(),
      ["check", "--config", join(ROOT, "deno.json"), file],
      dir,
    );
    assert.equal(code, 0, err);
  }));

interface Output {
  output_type: string;
  data?: Record<string, string[]>;
  text?: string[];
}

interface Notebook {
  cells: { cell_type: string; source: string[]; execution_count?: number | null; outputs?: Output[] }[];
}

/** For each cell of code what it shows: media types, `stream`, `error`. */
function shown({ cells }: Notebook): string[][] {
  return cells.filter((cell) => cell.cell_type === "code").map(({ outputs }) =>
    outputs!.flatMap(({ output_type, data }) => data === undefined ? [output_type] : Object.keys(data).sort())
  );
}

/** Checks that a notebook was run to its end, cell by cell, without errors. */
function checkExecuted({ cells }: Notebook): void {
  const code = cells.filter((cell) => cell.cell_type === "code");
  assert.deepEqual(code.map((cell) => cell.execution_count), code.map((_, i) => i + 1));
  const outputs = code.flatMap(({ outputs = [] }) => outputs);
  assert.deepEqual(outputs.filter(({ output_type }) => output_type === "error"), []);
}

/** The pictures of a notebook, as the texts in them; throws if one is not well-formed. */
function pictures({ cells }: Notebook): string[][] {
  return cells.flatMap(({ outputs = [] }) => outputs).flatMap(({ data }) => {
    const svg = data?.["image/svg+xml"];
    return svg === undefined ? [] : [textsOf(svg.join(""))];
  });
}

const STORED = JSON.parse(Deno.readTextFileSync(join(EXAMPLES, "explore.ipynb"))) as Notebook;

Deno.test("explore.ipynb holds the outputs of its cells, and is small", () => {
  checkExecuted(STORED);
  const [losses, attention, sweep, ...others] = pictures(STORED);
  assert.ok(losses!.includes("Loss on the training text"));
  assert.ok(attention!.includes("Attention of layer 1") && attention!.includes("head 1"));
  assert.ok(sweep!.includes("rate 0.003"));
  assert.deepEqual(others, []);
  const outputs = STORED.cells.flatMap(({ outputs = [] }) => outputs);
  const tables = outputs.flatMap(({ data }) => data?.["text/html"]?.join("") ?? []);
  assert.equal(tables.filter((html) => html.startsWith("<table>")).length, 3);
  assert.match(outputs.flatMap(({ text }) => text ?? []).join(""), /val_loss: 2\.\d+[^]*Call me /);
  assert.ok(Deno.statSync(join(EXAMPLES, "explore.ipynb")).size < 100_000);
});

const hasJupyter = await run("jupyter", ["nbconvert", "--version"], ROOT).then(
  ({ code }) => code === 0,
  () => false,
);

Deno.test({
  name: "explore.ipynb runs in Jupyter with Deno's kernel and shows the same kinds of things" +
    (hasJupyter ? "" : " (left out: there is no `jupyter nbconvert`; Debian has it as jupyter-nbconvert)"),
  ignore: !hasJupyter,
  fn: () =>
    inTemp(async (dir) => {
      // What `deno jupyter --install` does for a user.
      const kernel = join(dir, "kernels/deno");
      await Deno.mkdir(kernel, { recursive: true });
      await Deno.writeTextFile(
        join(kernel, "kernel.json"),
        JSON.stringify({
          argv: [Deno.execPath(), "jupyter", "--kernel", "--conn", "{connection_file}"],
          display_name: "Deno",
          language: "typescript",
        }),
      );
      const folders = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"];
      const config = "jupyter_nbconvert_config.py";
      await Deno.mkdir(join(dir, "JUPYTER_CONFIG_DIR"));
      await Deno.copyFile(join(ROOT, "tests/docs", config), join(dir, "JUPYTER_CONFIG_DIR", config));
      const { code, out, err } = await run(
        "jupyter",
        [
          "nbconvert",
          "--to=notebook",
          "--execute",
          "--ExecutePreprocessor.startup_timeout=300",
          "--ExecutePreprocessor.timeout=600",
          `--output-dir=${dir}`,
          "--output=executed.ipynb",
          join(EXAMPLES, "explore.ipynb"),
        ],
        dir,
        { JUPYTER_PATH: dir, ...Object.fromEntries(folders.map((name) => [name, join(dir, name)])) },
      );
      assert.equal(code, 0, out + err);
      const executed = JSON.parse(await Deno.readTextFile(join(dir, "executed.ipynb"))) as Notebook;
      checkExecuted(executed);
      const runs = Array.from(Deno.readDirSync(join(dir, "runs")), ({ name }) => name);
      assert.equal(runs.filter((name) => !name.startsWith(".")).length, 3);
      assert.deepEqual(shown(executed), shown(STORED));
      assert.ok(pictures(executed).flat().every((text) => text !== "NaN"));
    }),
});
