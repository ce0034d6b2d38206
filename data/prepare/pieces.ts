/**
 * Documents as one stream, cut into pieces that can be encoded one by one. Cuts are after a letter or digit and before a
 * space or line end, where no tokenizer's pattern has a token across; so ids are those of the whole text. A stretch of
 * 65,536 UTF-16 code units without such a place is cut all the same. Where cuts are depends on the text alone.
 */

import type { Fragment } from "../read/documents.ts";

/** A part of the stream. */
export interface Piece {
  /** Texts with the separator token between them; a separator of text is in the text. */
  parts: string[];
  /** Whether the first part goes on from the piece before. */
  continues: boolean;
}

const PIECE_LENGTH = 1 << 16; // UTF-16 code units

/**
 * Cuts documents into pieces.
 *
 * @param separator what stands between two documents; null for a token, which then stands between two parts
 */
export async function* pieces(
  fragments: AsyncIterable<Fragment>,
  separator: string | null,
): AsyncGenerator<Piece> {
  let parts = [""];
  let length = 0;
  let continues = false;
  let isBetween = false; // a document has ended, and none has begun since
  for await (const { text, ends } of fragments) {
    if (text !== "" && isBetween) {
      if (separator === null) parts.push("");
      else parts[parts.length - 1] += separator;
      length += separator?.length ?? 1;
      isBetween = false;
    }
    parts[parts.length - 1] += text;
    length += text.length;
    isBetween ||= ends;
    while (length > PIECE_LENGTH) {
      const last = parts[parts.length - 1]!;
      const cut = parts.length > 1 ? 0 : cutOf(last);
      yield { parts: [...parts.slice(0, -1), last.slice(0, cut)], continues };
      continues = cut > 0;
      parts = [last.slice(cut)];
      length = parts[0]!.length;
    }
  }
  if (length > 0) yield { parts, continues };
}

/** The last good place to cut within a piece's length. */
function cutOf(text: string): number {
  for (let at = PIECE_LENGTH; at > 0; at--) {
    const code = text.charCodeAt(at);
    if ((code === 0x20 || code === 0x0a) && /[\p{L}\p{N}]/u.test(text[at - 1]!)) return at;
  }
  const code = text.charCodeAt(PIECE_LENGTH);
  return code >= 0xdc00 && code < 0xe000 ? PIECE_LENGTH - 1 : PIECE_LENGTH; // not within a surrogate pair
}
