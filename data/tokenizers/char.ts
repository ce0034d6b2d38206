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
import type { StreamDecoder, Tokenizer, TokenizerJSON } from "./tokenizer.ts";

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
  readonly special_tokens: ReadonlyMap<string, number> = new Map();
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
    const counts = new CharacterCounts();
    for (const text of texts) counts.add(text);
    return CharTokenizer.fromCounts(counts.entries());
  }

  /**
   * The tokenizer of counted characters.
   *
   * @param counts code points and how often each stands in the texts
   * @param limits which of them it has: those that stand there `min_frequency` times, and of these so many that there
   *   are `max_vocab_size` tokens with the unknown one, the commonest first and then by code point. @default all
   */
  static fromCounts(
    counts: Iterable<[codePoint: number, count: number]>,
    limits: { min_frequency?: number; max_vocab_size?: number } = {},
  ): CharTokenizer {
    const { min_frequency = 1, max_vocab_size = Infinity } = limits;
    const common = [...counts]
      .filter(([, count]) => count >= min_frequency)
      .sort(([a, countA], [b, countB]) => countB - countA || a - b)
      .slice(0, max_vocab_size - 1);
    const vocab = common.map(([codePoint]) => codePoint).sort((a, b) => a - b);
    return new CharTokenizer([
      ...vocab.map((codePoint) => String.fromCodePoint(codePoint)),
      UNKNOWN_CHARACTER,
    ]);
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

  /** Every id is a whole character, so nothing is ever held back. */
  decoder(): StreamDecoder {
    return { push: (id) => this.vocab[id] ?? UNKNOWN_CHARACTER, end: () => "" };
  }

  byteLength(id: number): number {
    const codePoint = (this.vocab[id] ?? UNKNOWN_CHARACTER).codePointAt(0)!;
    return codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
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

/** How often each character stands in texts. */
export class CharacterCounts {
  private readonly counts = new Float64Array(0x110000); // by code point

  /** Counts the characters of one more text. */
  add(text: string): void {
    for (let i = 0; i < text.length; i++) {
      const codePoint = text.codePointAt(i)!;
      if (codePoint > 0xffff) i++;
      this.counts[codePoint]!++;
    }
  }

  /** Code points and how often each stands there; halves of surrogate pairs and U+FFFD are no characters. */
  entries(): [codePoint: number, count: number][] {
    const entries: [number, number][] = [];
    this.counts.forEach((count, codePoint) => {
      const isHalf = codePoint >= 0xd800 && codePoint < 0xe000;
      if (count > 0 && !isHalf && codePoint !== 0xfffd) entries.push([codePoint, count]);
    });
    return entries;
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
