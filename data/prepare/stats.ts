/** Counting what a dataset holds while it is made, for `stats.json` and `prepare --stats`. */

import { z } from "zod";
import type { TokenArray, Tokens } from "../file_tokens.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

const count = z.int().min(0);
const histogram = z.array(z.strictObject({ up_to: count, count })).describe(
  "how many are longer than the bound before and not longer than this one; bounds are powers of two",
);

/** Schema of `stats.json`. */
export const DatasetStats = z.strictObject({
  documents: count.describe("documents that are in the dataset"),
  dropped: z.strictObject({
    repeated_lines: count.describe("lines left out"),
    near_duplicates: count.describe("documents left out"),
  }),
  characters: count.describe("Unicode characters of the text"),
  bytes: count.describe("its bytes in UTF-8"),
  tokens: count,
  vocabulary: z.strictObject({
    size: count.describe("tokens that there are"),
    used: count.describe("tokens that stand in the dataset at least once"),
    coverage: z.number().describe("used / size"),
    unknown: count.describe("characters that the vocabulary lacks"),
  }),
  compression: z.strictObject({ characters_per_token: z.number(), bytes_per_token: z.number() }),
  document_characters: histogram,
  token_bytes: z.array(z.strictObject({ bytes: count, count })).describe(
    "tokens of the dataset by their length",
  ),
  commonest: z.array(z.strictObject({ id: count, text: z.string(), count })).describe("the commonest tokens"),
  samples: z.array(z.strictObject({ at: count.describe("place of the first token"), text: z.string() })),
});

/** What `stats.json` holds. */
export type DatasetStats = z.output<typeof DatasetStats>;

const COMMONEST = 20;
const SAMPLES = 4;
const SAMPLE_TOKENS = 100;

/** Counts documents and tokens as they come. */
export class StatsCounter {
  /** What was left out, counted by who leaves it out. */
  readonly dropped: DatasetStats["dropped"] = { repeated_lines: 0, near_duplicates: 0 };
  /** Documents so far. */
  documents = 0;
  /** Tokens so far. */
  tokens = 0;
  private characters = 0;
  private bytes = 0;
  private readonly documentLengths: number[] = []; // [k]: documents of up to 2^k characters
  private readonly uses: Float64Array; //             [vocab_size]

  constructor(private readonly tokenizer: Tokenizer) {
    this.uses = new Float64Array(tokenizer.vocab_size);
  }

  /** Counts a document by its length. */
  addDocument(characters: number): void {
    this.documents++;
    const k = characters <= 1 ? 0 : Math.ceil(Math.log2(characters));
    this.documentLengths[k] = (this.documentLengths[k] ?? 0) + 1;
  }

  /** Counts a piece's tokens, and the text they were made of. */
  addTokens(ids: TokenArray, characters: number, bytes: number): void {
    this.tokens += ids.length;
    this.characters += characters;
    this.bytes += bytes;
    for (const id of ids) this.uses[id]!++;
  }

  /** All that was counted. @param tokens the whole dataset, for samples */
  finish(tokens: Tokens): DatasetStats {
    const { tokenizer, uses } = this;
    const used = uses.reduce((sum, n) => sum + (n > 0 ? 1 : 0), 0);
    const unknownId = tokenizer.kind === "char" ? tokenizer.encode("\uFFFD")[0] : undefined;
    const byLength = new Map<number, number>();
    uses.forEach((n, id) => {
      const bytes = tokenizer.byteLength(id);
      if (n > 0) byLength.set(bytes, (byLength.get(bytes) ?? 0) + n);
    });
    const order = Array.from(uses, (n, id) => ({ id, count: n }))
      .filter(({ count }) => count > 0)
      .sort((a, b) => b.count - a.count || a.id - b.id);
    return {
      documents: this.documents,
      dropped: { ...this.dropped },
      characters: this.characters,
      bytes: this.bytes,
      tokens: this.tokens,
      vocabulary: {
        size: tokenizer.vocab_size,
        used,
        coverage: used / tokenizer.vocab_size,
        unknown: unknownId === undefined ? 0 : uses[unknownId] ?? 0,
      },
      compression: {
        characters_per_token: this.characters / this.tokens,
        bytes_per_token: this.bytes / this.tokens,
      },
      document_characters: Array.from(this.documentLengths, (n, k) => ({ up_to: 2 ** k, count: n ?? 0 }))
        .filter((bin) => bin.count > 0),
      token_bytes: [...byLength].sort(([a], [b]) => a - b).map(([bytes, n]) => ({ bytes, count: n })),
      commonest: order.slice(0, COMMONEST).map(({ id, count }) => ({
        id,
        text: tokenizer.decode([id]),
        count,
      })),
      samples: samples(tokens, tokenizer),
    };
  }
}

/** A few stretches of text, evenly over the dataset. */
function samples(tokens: Tokens, tokenizer: Tokenizer): DatasetStats["samples"] {
  return Array.from({ length: SAMPLES }, (_, i) => {
    const at = Math.floor(i * tokens.length / SAMPLES);
    return { at, text: tokenizer.decode(tokens.subarray(at, at + SAMPLE_TOKENS)) };
  });
}
