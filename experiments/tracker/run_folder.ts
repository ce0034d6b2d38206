/** Where runs live: naming and making their folders, and finding the latest. */

import * as path from "path";
import { displayPath, fileError, makeFolder, timeStamp, UserError } from "../../common/mod.ts";
import { readRun } from "./run_record.ts";

/**
 * Makes the folder `<config>_<YYYYMMDD_HHMMSS>` (UTC) for a new run; where it is taken, `_2`, `_3`, … follows. Two
 * processes never get the same one. Throws `UserError`, among others when a file stands where a folder should be.
 */
export async function makeRunFolder(runsDir: string, configName: string, now: Date): Promise<string> {
  await makeFolder(runsDir);
  const base = path.join(runsDir, `${folderName(configName)}_${timeStamp(now)}`);
  for (let n = 1;; n++) {
    const dir = n === 1 ? base : `${base}_${n}`;
    try {
      await Deno.mkdir(dir); // fails if it is there: whoever makes it owns it
      return dir;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw fileError(error, dir, "write");
      if ((await Deno.stat(dir)).isDirectory) continue;
      throw new UserError("a file stands where the run's folder should be", {
        file: displayPath(dir),
        hint: "move that file away or start again in a second",
      });
    }
  }
}

/** The longest that the name of a run makes its folder's, in letters; file systems take 255 bytes. */
const NAME_LETTERS = 60;

/** A name without what a file system or a shell might stumble over, not hidden, no flag, and of a bearable length. */
function folderName(name: string): string {
  const plain = name.replace(/[^\p{L}\p{N}._-]/gu, "_").replace(/^(\.+_*|-+)+/, "");
  return [...plain].slice(0, NAME_LETTERS).join("") || "run";
}

/**
 * The folder of the run that was created last, or undefined if there is none. Folders that hold no readable run are
 * passed over, and so are runs that belong to another, such as trials.
 *
 * @param configName only runs of this configuration
 */
export async function latestRun(runsDir: string, configName?: string): Promise<string | undefined> {
  let latest: { dir: string; id: string; created: string } | undefined;
  for (const dir of await foldersIn(runsDir)) {
    const run = await readRun(dir).catch(() => undefined);
    if (run === undefined || run.parents.length > 0) continue;
    if (configName !== undefined && run.config_name !== configName) continue;
    const { created } = run;
    const id = path.basename(dir);
    if (
      latest === undefined || created > latest.created || (created === latest.created && later(id, latest.id))
    ) {
      latest = { dir, id, created };
    }
  }
  return latest?.dir;
}

/** Of runs that were created in the same millisecond: `x_10` comes after `x_2`, and that after `x`. */
function later(a: string, b: string): boolean {
  return new Intl.Collator("en", { numeric: true }).compare(a, b) > 0;
}

/** The folders in a folder, by path; none where it does not exist. Throws `UserError` if it cannot be read. */
export async function foldersIn(parent: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(parent));
    return entries.filter((e) => e.isDirectory).map((e) => path.join(parent, e.name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw fileError(error, parent);
  }
}
