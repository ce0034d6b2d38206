/** The task `setup`: sees to it that there is a GPU adapter before tests ask for one. */

import { UserError } from "../common/mod.ts";
import { ensureAdapter } from "../gpu/mod.ts";

try {
  await ensureAdapter();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(`error: ${error.describe()}`);
  Deno.exit(1);
}
