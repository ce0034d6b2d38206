/** Holding a folder for one process by its `.lock`: the system lets go of it when the process ends, however it ends. */

import { join } from "path";
import { displayPath, UserError } from "../../common/mod.ts";

/**
 * Holds a folder until the file that is returned is closed. Who only looks whether it is held does so for a moment, so a few tries
 * are made.
 *
 * @param message what is wrong when another process holds it
 * @param hint what to do then
 * @throws UserError when another process holds it
 */
export async function holdFolder(dir: string, message: string, hint: string): Promise<Deno.FsFile> {
  const lock = Deno.openSync(join(dir, ".lock"), { write: true, create: true });
  for (let tries = 0; tries < 10; tries++) {
    if (lock.tryLockSync(true)) return lock;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  lock.close();
  throw new UserError(message, { file: displayPath(dir), hint });
}
