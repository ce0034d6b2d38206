/** Writes `docs/api/` anew from what `deno doc --json mod.ts` prints on standard input: the task `docs` runs it. */

import { join } from "path";
import { apiPages } from "./api_pages/pages.ts";

const folder = join(import.meta.dirname!, "../docs/api");
const pages = apiPages(await new Response(Deno.stdin.readable).json());
await Deno.mkdir(folder, { recursive: true });
for await (const { name } of Deno.readDir(folder)) {
  if (!pages.has(name)) await Deno.remove(join(folder, name));
}
for (const [name, text] of pages) await Deno.writeTextFile(join(folder, name), text);
