/**
 * Makes `pipeline/reference_one_batch.json` out of `tests/reference/one-batch`: JSON files as they are, safetensors in
 * base64, since a program can carry text and JSON inside but no bytes. A test checks that the two agree.
 *
 * Run it in the repository's root: `deno run --allow-read --allow-write scripts/embed_reference.ts`
 */

import { join } from "path";

const SOURCE = "tests/reference/one-batch";
const TARGET = "pipeline/reference_one_batch.json";

const names = Array.from(Deno.readDirSync(SOURCE), ({ name }) => name).sort();
const content: Record<string, unknown> = {};
for (const name of names) {
  const path = join(SOURCE, name);
  content[name] = name.endsWith(".json")
    ? JSON.parse(await Deno.readTextFile(path))
    : (await Deno.readFile(path)).toBase64();
}
await Deno.writeTextFile(TARGET, JSON.stringify(content, null, 2) + "\n");
console.log(`${TARGET}: ${names.join(", ")}`);
