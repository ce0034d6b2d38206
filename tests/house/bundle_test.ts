/**
 * What `deno compile` will need, tested without it: the program works as a few bundled files with no source tree beside
 * them (WGSL, tables and reference vectors are text imports), and every worker's entry point is named in the task.
 */

import assert from "assert";
import { basename, join } from "path";
import { inFolder } from "../pipeline/training_support.ts";
import { filesBelow, ROOT } from "./files.ts";

const ROOMS = ["common", "data", "gpu", "models", "pipeline", "experiments"];

/** Entry points of workers: what `new Worker(new URL("./x.ts", import.meta.url)` names, from the repository's folder. */
function workerEntries(): string[] {
  return filesBelow(ROOMS).filter((file) => file.endsWith(".ts")).flatMap((file) => {
    const text = Deno.readTextFileSync(join(ROOT, file));
    const found = [...text.matchAll(/new Worker\(\s*new URL\("\.\/([\w.]+)", import\.meta\.url\)/g)];
    return found.map((match) => join(file, "..", match[1]!).replaceAll("\\", "/"));
  }).sort();
}

async function deno(args: string[], cwd: string): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { INIT_CWD: cwd },
  }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

Deno.test("the compile task includes every worker, and their names differ", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.json")));
  const entries = workerEntries();
  assert.ok(entries.length >= 3, entries.join());
  const included = [...tasks.compile.command.matchAll(/--include (\S+\.ts)/g)].map((match) => match[1])
    .sort();
  assert.deepEqual(included, entries);
  assert.equal(new Set(entries.map((entry) => basename(entry))).size, entries.length);
});

Deno.test("the bundled program trains, without its sources, and its doctor carries the reference vectors", () =>
  inFolder(async (dir) => {
    const entries = new Map([
      ["mod.ts", "chatgot.js"],
      ...workerEntries().map((e) => [e, basename(e)] as const),
    ]);
    for (const [entry, file] of entries) {
      const { code, err } = await deno(["bundle", "--quiet", "--output", join(dir, file), entry], ROOT);
      assert.equal(code, 0, err);
    }
    const run = async (...args: string[]) => {
      const { code, out, err } = await deno(
        ["run", "--allow-all", "--no-config", "chatgot.js", ...args],
        dir,
      );
      assert.equal(code, 0, out + err);
      return JSON.parse(out);
    };
    const trained = await run("train", "--config-path", "tiny.yaml", "--max-steps=2", "--json");
    assert.deepEqual([trained.status, trained.steps], ["completed", 2]);
    const { ok, checks } = await run("doctor", "--json");
    assert.ok(ok && checks.length > 3, JSON.stringify(checks));
  }));
