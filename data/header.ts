/** What `header.json` of a prepared dataset holds, beside `tokens.bin`. */

import { z } from "zod";

/** Raised when a reader of the older form would misread the newer. */
export const FORMAT_VERSION = 1;

const count = z.int().min(0);
const split = z.strictObject({ start: count, end: count });

/** Schema of `header.json`. */
export const DatasetHeader = z.strictObject({
  format: z.literal("chatgot-dataset").describe("what this file is"),
  format_version: z.literal(FORMAT_VERSION).describe("made by another version: prepare the dataset again"),
  name: z.string().describe("short name of the corpus"),
  dtype: z.enum(["uint16", "uint32"]).describe("type of a token id in tokens.bin, little-endian"),
  counts: z.strictObject({
    files: count.describe("files of the corpus"),
    bytes: count.describe("their size in bytes"),
    documents: count.describe("documents with any text"),
    tokens: count.describe("token ids in tokens.bin"),
  }),
  splits: z.strictObject({ train: split, val: split }).describe("token ranges, end not included"),
  settings: z.looseObject({ tokenizer: z.string(), split_ratio: z.number() }).describe(
    "what the config said, as far as it made a difference",
  ),
  source_digest: z.string().describe("SHA-256 over the corpus's files"),
  tokens_digest: z.string().describe("SHA-256 of tokens.bin"),
  tokenizer: z.looseObject({ kind: z.string() }).describe("the tokenizer with its vocabulary"),
});

/** What `header.json` says. */
export type DatasetHeader = z.output<typeof DatasetHeader>;
