/** Opening files of a run that may be missing: another program copies, moves or removes them while we look. */

import { fileError } from "../../common/mod.ts";

/**
 * What `read` makes of an open file; `missing` if there is none.
 *
 * @throws UserError if it is there and cannot be read
 */
export function readSome<T>(file: string, missing: T, read: (handle: Deno.FsFile) => T): T {
  try {
    using handle = Deno.openSync(file);
    return read(handle);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return missing;
    throw fileError(error, file);
  }
}
