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
  const edges = await allEdges();
  assert.ok(edges.length > 50, `only ${edges.length} imports were seen`);
  assert.deepEqual(arrowFaults(edges), []);
  assert.deepEqual(importCycles(edges).map((files) => files.join(" <-> ")), []);
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
async function allEdges(): Promise<Edge[]> {
  const imports = new Map<string, string[]>();
  const sources = filesBelow(["mod.ts", ...ROOMS, "scripts"]).filter((file) => file.endsWith(".ts"));
  for (const file of sources) {
    if (imports.has(file)) continue; // an earlier file's graph held it
    for (const [from, targets] of await graphFrom(file)) imports.set(from, targets);
  }
  return [...imports].flatMap(([from, targets]) => targets.map((to): Edge => [from, to]));
}

interface ModuleInfo {
  specifier: string;
  dependencies?: { code?: { specifier?: string }; type?: { specifier?: string } }[];
}

/** The imports of a file and of all that it reaches. */
async function graphFrom(file: string): Promise<[string, string[]][]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", file],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: ModuleInfo[] };
  const isOurs = (specifier: string | undefined): specifier is string =>
    specifier?.startsWith("file:") ?? false;
  return modules.filter(({ specifier }) => isOurs(specifier)).map(({ specifier, dependencies = [] }) => {
    const targets = dependencies.flatMap(({ code, type }) => [code?.specifier, type?.specifier]).filter(
      isOurs,
    );
    return [relative(specifier), [...new Set(targets.map(relative))]];
  });
}

function relative(specifier: string): string {
  const root = import.meta.resolve("../../");
  return specifier.startsWith(root) ? decodeURIComponent(specifier.slice(root.length)) : specifier;
}
