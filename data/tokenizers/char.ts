/**
 * The character tokenizer: one token for each Unicode code point, never half of a surrogate pair.
 *
 * The vocabulary is the sorted code points of the corpus and, as the last id, one token for the unknown, written
 * U+FFFD (the Unicode replacement character), which `vocab_size` counts. Each id is whole characters, so a text
 * may be decoded piece by piece as it is generated. Left out: normalization; "é" as one code point and as "e"
 * with an accent stay two different texts.
 */

import { z } from "zod";
import { validate } from "../../common/mod.ts";
import type { Tokenizer, TokenizerJSON } from "./tokenizer.ts";

/** How the unknown token is written. */
export const UNKNOWN_CHARACTER = "\uFFFD";

/**
 * A tokenizer of characters.
 *
 * @example
 * ```ts
 * import { CharTokenizer } from "./char.ts";
 * const tokenizer = CharTokenizer.fromTexts(["hello"]);
 * tokenizer.vocab_size; // 5: e, h, l, o and the unknown token
 * tokenizer.decode(tokenizer.encode("hell?")); // "hell\uFFFD"
 * ```
 */
export class CharTokenizer implements Tokenizer {
  readonly kind = "char";
  readonly vocab_size: number;
  /** The character of each id. */
  readonly vocab: readonly string[];
  /** The id of each code point, the unknown token's for those that the vocabulary lacks. */
  private readonly idOf: Uint32Array;
  private readonly unknownId: number;

  /** @param vocab one character for each id, all different, U+FFFD among them */
  constructor(vocab: readonly string[]) {
    this.vocab = vocab;
    this.vocab_size = vocab.length;
    this.unknownId = vocab.indexOf(UNKNOWN_CHARACTER);
    this.idOf = new Uint32Array(0x110000).fill(this.unknownId);
    vocab.forEach((character, id) => this.idOf[character.codePointAt(0)!] = id);
  }

  /** The tokenizer of all characters in some texts. */
  static fromTexts(texts: Iterable<string>): CharTokenizer {
    const seen = new Uint8Array(0x110000);
    for (const text of texts) {
      for (let i = 0; i < text.length; i++) {
        const codePoint = text.codePointAt(i)!;
        if (codePoint > 0xffff) i++;
        seen[codePoint] = 1;
      }
    }
    seen.fill(0, 0xd800, 0xe000); // halves of surrogate pairs are no characters
    seen[0xfffd] = 0; // stands last
    const vocab: string[] = [];
    seen.forEach((yes, codePoint) => yes && vocab.push(String.fromCodePoint(codePoint)));
    return new CharTokenizer([...vocab, UNKNOWN_CHARACTER]);
  }

  encode(text: string): Uint32Array {
    const ids = new Uint32Array(text.length);
    let count = 0;
    for (let i = 0; i < text.length; i++) {
      const codePoint = text.codePointAt(i)!;
      if (codePoint > 0xffff) i++;
      ids[count++] = this.idOf[codePoint]!;
    }
    return ids.subarray(0, count);
  }

  decode(ids: Iterable<number>): string {
    let text = "";
    for (const id of ids) text += this.vocab[id] ?? UNKNOWN_CHARACTER;
    return text;
  }

  toJSON(): TokenizerJSON {
    return { kind: this.kind, vocab: [...this.vocab] };
  }

  /** Makes a saved tokenizer again. Throws `UserError` if it is damaged. */
  static fromJSON(json: unknown, file?: string): CharTokenizer {
    const saved = validate(CharTokenizerJSON, json, { ...(file === undefined ? {} : { file }) });
    return new CharTokenizer(saved.vocab);
  }
}

const CharTokenizerJSON = z.strictObject({
  kind: z.literal("char"),
  vocab: z.array(
    z.string().refine((c) => [...c].length === 1, "expected single characters"),
  )
    .refine((vocab) => new Set(vocab).size === vocab.length, "a character is there twice")
    .refine((vocab) => vocab.includes(UNKNOWN_CHARACTER), "the unknown token U+FFFD is missing"),
});
