/**
 * Opening files of a run that may be missing: another program copies, moves or removes them while we look. A link counts as
 * missing, so that a run that somebody else made shows nothing but what lies in its folder.
 */

import { fileError } from "../../common/mod.ts";

/**
 * What `read` makes of an open file; `missing` if there is none, or a link.
 *
 * @throws UserError if it is there and cannot be read
 */
export function readSome<T>(file: string, missing: T, read: (handle: Deno.FsFile) => T): T {
  try {
    if (Deno.lstatSync(file).isSymlink) return missing;
    using handle = Deno.openSync(file);
    return read(handle);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return missing;
    throw fileError(error, file);
  }
}
