/** SHA-256 digests, as lower-case hexadecimal, of bytes and of files too large for memory. */

import { createHash } from "crypto";
import { fileError } from "./files.ts";

/**
 * SHA-256 of bytes, or of a string's UTF-8 form.
 *
 * @example
 * ```ts
 * import { sha256 } from "./digest.ts";
 * sha256("abc").slice(0, 8); // "ba7816bf"
 * ```
 */
export function sha256(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}

/** SHA-256 of a file's content, read piece by piece. Throws `UserError` if it cannot be read. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    using file = await Deno.open(path);
    const piece = new Uint8Array(1 << 20);
    for (let read = await file.read(piece); read !== null; read = await file.read(piece)) {
      hash.update(piece.subarray(0, read));
    }
  } catch (error) {
    throw fileError(error, path);
  }
  return hash.digest("hex");
}
