/** Every file says what it is for, and every export what it does. Fields speak by their names, so they may go without. */

import assert from "assert";
import * as path from "path";
import { ROOMS } from "./arrows.ts";
import { filesBelow, ROOT } from "./files.ts";

const FILES = filesBelow(["mod.ts", ...ROOMS, "scripts"]).filter((file) => file.endsWith(".ts"));

interface DocNode {
  symbols?: { name: string; declarations: Declaration[] }[];
}

interface Declaration {
  /** `reference` is a name that another file declares. */
  kind: string;
  declarationKind: string;
  location: { filename: string; line: number };
  jsDoc?: { doc?: string };
}

Deno.test("every file begins with a comment that says what it is for", () => {
  const bare = FILES.filter((file) => !Deno.readTextFileSync(path.join(ROOT, file)).startsWith("/**"));
  assert.deepEqual(bare, []);
});

Deno.test("every export has a doc comment", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...FILES],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as { nodes: Record<string, DocNode> };
  assert.equal(Object.keys(nodes).length, FILES.length);
  const bare = Object.values(nodes).flatMap(({ symbols = [] }) =>
    symbols.flatMap(({ name, declarations }) => {
      // A schema and the type of the same name share one comment, and so do overloads.
      const exported = declarations.filter((d) => d.declarationKind === "export" && d.kind !== "reference");
      if (exported.length === 0 || exported.some(({ jsDoc }) => jsDoc?.doc)) return [];
      const { filename, line } = exported[0]!.location;
      return [`${filename.slice(import.meta.resolve("../../").length)}:${line}: ${name}`];
    })
  );
  assert.deepEqual([...new Set(bare)], []);
});
