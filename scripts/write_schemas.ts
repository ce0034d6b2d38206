/** Writes `docs/formats/schemas/` anew from the code that knows the formats; a test holds the two together. */

import { join } from "path";
import { jsonSchemas } from "../experiments/mod.ts";

const FOLDER = join(import.meta.dirname!, "../docs/formats/schemas");
for (const [name, schema] of Object.entries(jsonSchemas())) {
  await Deno.writeTextFile(join(FOLDER, `${name}.json`), JSON.stringify(schema, null, 2) + "\n");
}
