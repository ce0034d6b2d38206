/** A file's bytes as they come, unpacked if it is gzip, and as blocks of whole lines. */

import { createReadStream } from "fs";
import { createGunzip } from "zlib";
import { displayPath, fileError, UserError } from "../../common/mod.ts";

const READ_BYTES = 1 << 16;
const NEWLINE = 10;
const SPACE = 32;

/** The name of a file for errors. */
export function fileName(file: string | URL): string {
  return displayPath(typeof file === "string" ? file : file.pathname);
}

/**
 * A file's bytes in pieces; of a name that ends in `.gz` what is packed in it, all members one after the other.
 *
 * @param onRead told how many bytes of the file were read since it was last told
 * @throws UserError if it cannot be read or is no whole gzip
 */
export async function* fileBytes(
  file: string | URL,
  onRead: (bytes: number) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const source = createReadStream(file, { highWaterMark: READ_BYTES });
  const gunzip = isPacked(file) ? createGunzip({ chunkSize: READ_BYTES }) : undefined;
  const stream = gunzip === undefined ? source : source.pipe(gunzip);
  source.on("error", (error) => stream.destroy(error)); // a pipe does not pass errors on
  let told = 0;
  try {
    for await (const piece of stream) {
      const read = source.bytesRead;
      onRead(read - told);
      told = read;
      yield piece as Uint8Array;
    }
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code.startsWith("Z_")) {
      throw new UserError(`is not whole gzip data: ${(error as Error).message}`, {
        file: fileName(file),
        hint: "the file may be cut off or not be gzip at all; get it again or unpack it yourself",
        cause: error,
      });
    }
    throw fileError(error, fileName(file));
  } finally {
    source.destroy();
    stream.destroy();
  }
}

function isPacked(file: string | URL): boolean {
  return /\.gz$/i.test(typeof file === "string" ? file : file.pathname);
}

/** Bytes that begin and end where a line does. */
export interface LineBlock {
  bytes: Uint8Array;
  /** Number of the first line in it, from 1. */
  line: number;
}

/**
 * Blocks of whole lines. A line longer than `longest` is cut: after a space if it has one, never in a character.
 *
 * @param longest in bytes; or a function that throws for such a line
 */
export async function* lineBlocks(
  pieces: AsyncIterable<Uint8Array>,
  longest: number,
  onLongLine?: (line: number) => never,
): AsyncGenerator<LineBlock> {
  let held: Uint8Array[] = []; // the beginning of a line whose end has not come
  let heldBytes = 0;
  let line = 1;
  const block = (bytes: Uint8Array): LineBlock => {
    const first = line;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) line++;
    return { bytes, line: first };
  };
  for await (const piece of pieces) {
    const end = piece.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      yield block(joined([...held, piece.subarray(0, end)]));
      held = [];
      heldBytes = 0;
    }
    if (end < piece.length) {
      held.push(piece.subarray(end));
      heldBytes += piece.length - end;
    }
    if (heldBytes > longest) {
      if (onLongLine !== undefined) onLongLine(line);
      const all = joined(held);
      const cut = all.lastIndexOf(SPACE) + 1 || characterEnd(all);
      yield block(all.subarray(0, cut));
      held = [all.subarray(cut)];
      heldBytes = all.length - cut;
    }
  }
  if (heldBytes > 0) yield block(joined(held));
}

function joined(pieces: Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Where the last whole UTF-8 character ends, or nearly the end if there is no such place. */
function characterEnd(bytes: Uint8Array): number {
  let start = bytes.length - 1;
  while (start > bytes.length - 4 && (bytes[start]! & 0xc0) === 0x80) start--;
  return start;
}
