/** Token ids that stay on disk and are read as they are asked for, so that a dataset may be larger than memory. */

import { displayPath, fileError, UserError } from "../common/mod.ts";

/** Token ids in the narrowest type that holds them. */
export type TokenArray = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** A row of token ids: an array, or one that stands in a file. */
export interface Tokens extends Iterable<number> {
  readonly length: number;
  /** The tokens from `start` up to `end`, which is not included. */
  subarray(start?: number, end?: number): TokenArray;
}

const BLOCK = 1 << 16; // tokens read at once when they are gone through

/** A range of the ids in a file of little-endian numbers. Each reading opens the file, so there is nothing to close. */
export class FileTokens implements Tokens {
  /**
   * @param start place of the first token in the file
   * @param length how many there are
   */
  constructor(
    private readonly path: string,
    private readonly dtype: "uint16" | "uint32",
    private readonly start: number,
    readonly length: number,
  ) {}

  subarray(start = 0, end = this.length): TokenArray {
    const first = Math.max(0, Math.min(start, this.length));
    const count = Math.max(0, Math.min(end, this.length) - first);
    const tokens = this.dtype === "uint16" ? new Uint16Array(count) : new Uint32Array(count);
    const bytes = new Uint8Array(tokens.buffer);
    let read: number | null = 0;
    let done = 0;
    try {
      using file = Deno.openSync(this.path);
      file.seekSync((this.start + first) * tokens.BYTES_PER_ELEMENT, Deno.SeekMode.Start);
      for (; done < bytes.length && read !== null; done += read ?? 0) {
        read = file.readSync(bytes.subarray(done));
      }
    } catch (error) {
      throw fileError(error, this.path);
    }
    if (done < bytes.length) {
      throw new UserError("has become shorter while it was used", {
        file: displayPath(this.path),
        hint: "prepare the dataset again",
      });
    }
    return tokens;
  }

  *[Symbol.iterator](): Iterator<number> {
    for (let at = 0; at < this.length; at += BLOCK) yield* this.subarray(at, at + BLOCK);
  }
}
