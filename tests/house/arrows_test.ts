/** The house's arrows and import cycles, over what Deno itself says that each file imports. */

import assert from "assert";
import * as path from "path";
import { arrowFaults, type Edge, importCycles, ROOMS } from "./arrows.ts";
import { filesBelow, ROOT } from "./files.ts";

Deno.test("arrowFaults() finds imports against the arrows and past the door", () => {
  const good: Edge[] = [
    ["models/gpt.ts", "gpu/mod.ts"],
    ["experiments/tracker/tracker.ts", "common/mod.ts"],
    ["gpu/plan.ts", "gpu/kernels/matmul/mod.ts"],
    ["tests/gpu/plan_test.ts", "gpu/plan.ts"],
    ["mod.ts", "pipeline/mod.ts"],
    ["scripts/train_with_samples.ts", "mod.ts"],
    ["common/version.ts", "deno.json"],
  ];
  assert.deepEqual(arrowFaults(good), []);
  const bad: Edge[] = [
    ["gpu/plan.ts", "models/mod.ts"],
    ["pipeline/train.ts", "experiments/mod.ts"],
    ["data/prepare.ts", "gpu/mod.ts"],
    ["common/files.ts", "data/mod.ts"],
    ["models/gpt.ts", "gpu/plan.ts"],
    ["scripts/setup.ts", "gpu/adapter_setup.ts"],
    ["data/prepare.ts", "mod.ts"],
  ];
  assert.equal(arrowFaults(bad).length, bad.length, arrowFaults(bad).join("\n"));
});

Deno.test("importCycles() finds every group of files that reach one another", () => {
  assert.deepEqual(importCycles([["a", "b"], ["b", "c"], ["a", "c"], ["d", "a"]]), []);
  const edges: Edge[] = [["a", "b"], ["b", "c"], ["c", "a"], ["c", "d"], ["d", "e"], ["e", "d"], ["f", "f"]];
  assert.deepEqual(importCycles(edges), [["a", "b", "c"], ["d", "e"], ["f"]]);
});

Deno.test("arrows go one way, other rooms are used by their doors, and there are no import cycles", async () => {
  const { all, atRunTime } = await imports();
  assert.ok(all.length > 50, `only ${all.length} imports were seen`);
  assert.deepEqual(arrowFaults(all), []);
  // Types may refer to one another across files, as a node to its op and back: nothing of that is left when it runs.
  assert.deepEqual(importCycles(atRunTime).map((files) => files.join(" <-> ")), []);
});

Deno.test("a room's door only passes on what the drawers hold", () => {
  for (const room of ROOMS) {
    const code = Deno.readTextFileSync(path.join(ROOT, room, "mod.ts")).replace(
      /\/\*[\s\S]*?\*\/|\/\/.*/g,
      "",
    );
    const statements = code.split(";").map((statement) => statement.trim()).filter((statement) =>
      statement !== ""
    );
    const others = statements.filter((statement) =>
      !/^export\s+(type\s+)?(\*|\{)[^;]*\sfrom\s+"/.test(statement)
    );
    assert.deepEqual(others, [], `${room}/mod.ts`);
  }
});

/** Every import between files of the repository, those of workers and scripts included. */
async function imports(): Promise<{ all: Edge[]; atRunTime: Edge[] }> {
  const modules = new Map<string, ModuleInfo>();
  const sources = filesBelow(["mod.ts", ...ROOMS, "scripts"]).filter((file) => file.endsWith(".ts"));
  for (const file of sources) {
    if (modules.has(file)) continue; // an earlier file's graph held it
    for (const module of await graphFrom(file)) {
      const name = relative(module.specifier);
      if (name !== undefined) modules.set(name, module);
    }
  }
  const all: Edge[] = [];
  const atRunTime: Edge[] = [];
  for (const [from, { dependencies = [] }] of modules) {
    for (const { code, type } of dependencies) {
      const target = relative((code ?? type)?.specifier);
      if (target === undefined) continue;
      all.push([from, target]);
      if (code !== undefined) atRunTime.push([from, target]);
    }
  }
  return { all, atRunTime };
}

interface ModuleInfo {
  specifier: string;
  /** `type` alone marks an import of types, which is gone when the program runs. */
  dependencies?: { code?: { specifier?: string }; type?: { specifier?: string } }[];
}

/** A file and all that it reaches, as Deno sees it. */
async function graphFrom(file: string): Promise<ModuleInfo[]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", file],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return (JSON.parse(new TextDecoder().decode(stdout)) as { modules: ModuleInfo[] }).modules;
}

/** The path of one of our files, undefined for anything else. */
function relative(specifier = ""): string | undefined {
  const root = import.meta.resolve("../../");
  return specifier.startsWith(root) ? decodeURIComponent(specifier.slice(root.length)) : undefined;
}
