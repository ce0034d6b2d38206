/** The API pages are what the doc comments say now, name everything that a script can import, and their links lead somewhere. */

import assert from "assert";
import { join } from "path";
import { apiPages } from "../../scripts/api_pages/pages.ts";
import { typeText } from "../../scripts/api_pages/type_text.ts";
import { ROOT } from "../house/files.ts";

const API = join(ROOT, "docs/api");

/** Runs Deno in the repository and returns what it prints. */
async function deno(args: string[], stdin = ""): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const written = writer.write(new TextEncoder().encode(stdin)).then(() => writer.close());
  const [{ success, stdout, stderr }] = await Promise.all([child.output(), written]);
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("docs/api is what the doc comments say now", async () => {
  const pages = apiPages(JSON.parse(await deno(["doc", "--json", "mod.ts"])));
  const stored = Array.from(Deno.readDirSync(API), ({ name }) => name).sort();
  const hint = "run `deno task docs` and commit what it writes";
  assert.deepEqual(stored, [...pages.keys()].sort(), hint);
  const formatted = await Promise.all(
    [...pages].map(async ([name, text]) => [name, await deno(["fmt", "--ext=md", "-"], text)]),
  );
  for (const [name, text] of formatted) {
    assert.equal(Deno.readTextFileSync(join(API, name!)), text, `docs/api/${name}: ${hint}`);
  }
});

Deno.test("the pages have a heading for everything that a script can import, and every link leads somewhere", async () => {
  const exported = Object.keys(await import("../../mod.ts"));
  const headings = new Map<string, string[]>();
  for (const { name } of Deno.readDirSync(API)) {
    headings.set(
      name,
      [...Deno.readTextFileSync(join(API, name)).matchAll(/^#+ (.*)$/gm)].map((match) => match[1]!),
    );
  }
  assert.deepEqual(exported.filter((name) => ![...headings.values()].flat().includes(name)), []);

  let links = 0;
  for (const page of headings.keys()) {
    for (const [, target] of Deno.readTextFileSync(join(API, page)).matchAll(/\]\(([^)]+)\)/g)) {
      const [file, anchor] = target!.split("#");
      links++;
      assert.ok(Deno.statSync(join(API, file!)).isFile, `${page}: ${target}`);
      if (anchor === undefined) continue;
      const heading = headings.get(file!)!.map((name) => name.toLowerCase());
      assert.ok(heading.includes(anchor.replace(/-\d+$/, "")), `${page}: ${target}`);
    }
  }
  assert.ok(links > exported.length);
});

Deno.test("types are printed as TypeScript reads them, and an unknown kind is no silent gap", async () => {
  const types = [
    "(string | number)[]",
    "readonly [string, number][]",
    "{ [name: string]: number }",
    "(line: { step: number; text?: string }, ...rest: number[]) => Promise<void>",
    "Map<string, Uint8Array<ArrayBuffer>> | undefined",
    '"adamw" | "lion" | 3 | true',
    'Config["training"] & { readonly steps: number }',
    "typeof globalThis",
    "keyof (A & B)",
  ];
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "types.ts");
    const source = types.map((type, i) => `export type T${i} = ${type};\n`).join("");
    await Deno.writeTextFile(
      file,
      `interface A {}\ninterface B {}\ninterface Config { training: A }\n${source}`,
    );
    const { nodes } = JSON.parse(await deno(["doc", "--json", file]));
    const symbols =
      (Object.values(nodes) as { symbols: { name: string; declarations: { def: { tsType: never } }[] }[] }[])
        .flatMap(({ symbols }) => symbols);
    const printed = types.map((_, i) =>
      typeText(symbols.find(({ name }) => name === `T${i}`)!.declarations[0]!.def.tsType)
    );
    assert.deepEqual(printed, types);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assert.throws(() => typeText({ kind: "no such kind" }), /no such kind/);
});
