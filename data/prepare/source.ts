/** The files of a corpus before any text is read: what they are by content, and whether they stay so. */

import { createHash } from "crypto";
import { fileError, UserError } from "../../common/mod.ts";
import { fileName } from "../read/byte_stream.ts";

/** A corpus's files as they were when they were looked at. */
export interface Source {
  files: readonly (string | URL)[];
  /** Their sizes together. */
  bytes: number;
  /** SHA-256 over each file's length in bytes, a line end, its bytes. */
  digest: string;
  /** Size and time of the last change, file by file. */
  stamps: string[];
}

/** Reads all files through once. Throws `UserError` if one cannot be read. */
export async function lookAt(
  files: readonly (string | URL)[],
  onRead: (bytes: number) => void,
): Promise<Source> {
  const hash = createHash("sha256");
  const stamps: string[] = [];
  let bytes = 0;
  for (const file of files) {
    try {
      using open = await Deno.open(file);
      const { size, mtime } = await open.stat();
      stamps.push(`${size} ${mtime?.getTime()}`);
      hash.update(`${size}\n`);
      bytes += size;
      const piece = new Uint8Array(1 << 20);
      for (let read = await open.read(piece); read !== null; read = await open.read(piece)) {
        hash.update(piece.subarray(0, read));
        onRead(read);
      }
    } catch (error) {
      throw fileError(error, fileName(file));
    }
  }
  return { files, bytes, digest: hash.digest("hex"), stamps };
}

/** The size of all files together. Throws `UserError` if one is not there. */
export async function sizeOf(files: readonly (string | URL)[]): Promise<number> {
  let bytes = 0;
  for (const file of files) {
    try {
      bytes += (await Deno.stat(file)).size;
    } catch (error) {
      throw fileError(error, fileName(file));
    }
  }
  return bytes;
}

/** Throws `UserError` if a file was changed since it was looked at: what was read of it is not what its digest says. */
export async function checkUnchanged({ files, stamps }: Source): Promise<void> {
  for (const [i, file] of files.entries()) {
    const info = await Deno.stat(file).catch(() => undefined);
    if (info !== undefined && `${info.size} ${info.mtime?.getTime()}` === stamps[i]) continue;
    throw new UserError("was changed while it was read", {
      file: fileName(file),
      hint: "prepare again when nothing writes to it",
    });
  }
}
