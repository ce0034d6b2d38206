/**
 * From names in an address to paths on the disk, none of which leaves the folder of runs: a run is named by one segment,
 * a file in it by more, and where links lead is looked at before anything is opened.
 */

import * as path from "path";
import { Refusal } from "./access.ts";

/** Longest name that a file system takes. */
const MAX_NAME_BYTES = 255;

/**
 * The real path of a run's folder. Throws `Refusal` (404) for a name that is none, no folder, or a link that leads out of
 * the runs' folder.
 *
 * @param runsDir the folder that holds the runs
 * @param id the run's name, decoded
 */
export function runFolder(runsDir: string, id: string): Promise<string> {
  return inside(runsDir, [id]);
}

/**
 * The real path of a file or folder in a run. Throws `Refusal` (404) where there is none or links lead out of the run.
 *
 * @param dir the run's folder
 * @param names the names below it, decoded; none may be hidden or lead up
 */
export function runFile(dir: string, ...names: string[]): Promise<string> {
  return inside(dir, names);
}

async function inside(folder: string, names: string[]): Promise<string> {
  if (names.length === 0 || !names.every(isPlainName)) throw missing();
  try {
    const root = await Deno.realPath(folder);
    const real = await Deno.realPath(path.join(root, ...names));
    if (real.startsWith(root + path.sep)) return real;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || isOdd(error))) throw error;
  }
  throw missing();
}

/** Whether a name is that of one visible entry of a folder, on any system. */
function isPlainName(name: string): boolean {
  // deno-lint-ignore no-control-regex -- they are what is looked for
  const odd = /[/\\\x00-\x1f]|^\.|^$/;
  return !odd.test(name) && new TextEncoder().encode(name).length <= MAX_NAME_BYTES;
}

/** What a system says of links in a circle, names that it can't take and folders that may not be read. */
function isOdd(error: unknown): boolean {
  return error instanceof Deno.errors.NotADirectory || error instanceof Deno.errors.FilesystemLoop ||
    error instanceof Deno.errors.PermissionDenied || error instanceof TypeError;
}

function missing(): Refusal {
  return new Refusal(404, "there is no such run or file here");
}
