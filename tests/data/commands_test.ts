/** The command `prepare` and the section `data` of files: what goes before what, and what is printed. */

import assert from "assert";
import * as nodePath from "path";
import { DataConfig, dataSection, prepareCommand } from "../../data/mod.ts";
import { parseYaml, parseYamlFile, UserError } from "../../common/mod.ts";

/** Runs the command and gives what it printed on standard output. */
async function run(...args: string[]): Promise<string> {
  const log = console.log;
  let printed = "";
  console.log = (text: string) => printed += text + "\n";
  try {
    await prepareCommand().parseAsync(args, { from: "user" });
  } finally {
    console.log = log;
  }
  return printed;
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(nodePath.join(folder, "tale.txt"), "Call me Ishmael.\n".repeat(10));
    await Deno.writeTextFile(nodePath.join(folder, "other.txt"), "Some years ago".repeat(10));
    await Deno.writeTextFile(
      nodePath.join(folder, "data.yaml"),
      `data:\n  corpus: ${nodePath.join(folder, "tale.txt")}\n  split_ratio: 0.5\n` +
        `  processed_dir: ${nodePath.join(folder, "processed")}\n`,
    );
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("prepare --json prints one object and nothing else", () =>
  withFolder(async (folder) => {
    const printed = await run("--config-path", nodePath.join(folder, "data.yaml"), "--json");
    assert.equal(printed.trimEnd().split("\n").length, 1);
    const { tokens, train_tokens, val_tokens, vocab_size, sample } = JSON.parse(printed);
    assert.deepEqual([tokens, train_tokens, val_tokens], [169, 84, 85]);
    assert.equal(vocab_size, new Set("Call me Ishmael.\n").size + 1);
    assert.match(sample, /^Call me Ishmael\.\nCall/);
  }));

Deno.test("prepare: --corpus goes before --set, --set before the file", () =>
  withFolder(async (folder) => {
    const file = nodePath.join(folder, "data.yaml");
    const set = ["--set", "data.split_ratio=0.8", "--set", "data.corpus=nothing"];
    const printed = await run("--config-path", file, ...set, "--corpus", nodePath.join(folder, "other.txt"));
    assert.match(printed, /corpus +other, 1 file, 140 B/);
    assert.match(printed, /train +112 tokens/);
  }));

Deno.test("prepare: bad flags and keys are one clear line", () =>
  withFolder(async (folder) => {
    const file = nodePath.join(folder, "data.yaml");
    const cases: [string[], RegExp][] = [
      [["--config-path", nodePath.join(folder, "no.yaml")], /no\.yaml: no such file/],
      [["--config-path", file, "--set", "split_ratio=0.5"], /keys of the section data.*data\.split_ratio/],
      [["--config-path", file, "--set", "data.split_ratio=2"], /data\.yaml: data\.split_ratio.*got 2/],
      [["--config-path", file, "--set", "data.corpsu=x"], /unknown key "corpsu".*did you mean "corpus"/],
    ];
    for (const [args, message] of cases) {
      await assert.rejects(run(...args), (e) => e instanceof UserError && message.test(e.describe()));
    }
    await Deno.writeTextFile(file, "# mine\ndata:\n  corpus: 5\n");
    await assert.rejects(
      run("--config-path", file),
      (e) => e instanceof UserError && /data\.yaml:3: data\.corpus: expected text, got 5/.test(e.describe()),
    );
  }));

Deno.test("dataSection() follows the name of a file, also beside the config", () =>
  withFolder(async (folder) => {
    const config = (text: string) => parseYaml(text, nodePath.join(folder, "model.yaml"));
    const section = await dataSection(config("data: data.yaml\n"));
    assert.equal((section.value as Record<string, unknown>).split_ratio, 0.5);
    assert.equal(section.lineOf(["data", "split_ratio"]), 3);
    assert.match(section.file, /data\.yaml$/);
    assert.deepEqual((await dataSection(config("model: {}\n"))).value, {});
    await assert.rejects(
      dataSection(config("model: {}\ndata: no.yaml\n")),
      (e) => e instanceof UserError && e.line === 2 && /no file no\.yaml/.test(e.message),
    );
    await Deno.writeTextFile(nodePath.join(folder, "flat.yaml"), "corpus: sotu\n");
    await assert.rejects(dataSection(config("data: flat.yaml\n")), /no section `data`/);
  }));

Deno.test("the data configs that come with the project are right, and one says every key", async () => {
  const folder = nodePath.join(import.meta.dirname!, "..", "..", "configs", "data");
  const all = Object.keys(DataConfig.shape);
  const said = new Map<string, string[]>();
  for await (const { name } of Deno.readDir(folder)) {
    const section = await dataSection(await parseYamlFile(nodePath.join(folder, name)));
    const keys = Object.keys(section.value as object);
    assert.deepEqual(keys, all.filter((key) => keys.includes(key)), `${name}: in the schema's order`);
    DataConfig.parse(section.value);
    said.set(name, keys);
  }
  assert.deepEqual(said.get("own_folder.yaml"), all);
});
