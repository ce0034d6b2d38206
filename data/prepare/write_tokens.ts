/** Encoding a text and writing the files of its dataset, piece by piece. */

import * as nodePath from "path";
import { createHash } from "crypto";
import { fileError, UserError, writeFileSynced } from "../../common/mod.ts";
import type { DataConfig } from "../config.ts";
import { FileTokens, type TokenArray } from "../file_tokens.ts";
import { type DatasetHeader, FORMAT_VERSION } from "../header.ts";
import { DATASET_FILES } from "../processed.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { Pool } from "./pool.ts";
import { StatsCounter } from "./stats.ts";
import type { TextStream } from "./text_stream.ts";
import { countCharacters } from "./work.ts";

/** What to write, and what is known of it. */
export interface Writing {
  text: TextStream;
  tokenizer: Tokenizer;
  config: DataConfig;
  threads: number;
  header: Pick<DatasetHeader, "name" | "settings" | "source_digest"> & { files: number; bytes: number };
  /** Told how many bytes of the corpus were read since it was last told. */
  onRead: (bytes: number) => void;
}

/** Writes a dataset's files into a folder. Throws `UserError` if there is too little text. */
export async function writeTokens(folder: string, writing: Writing): Promise<void> {
  const { tokenizer, header: { name, settings, source_digest, files, bytes }, config } = writing;
  const path = nodePath.join(folder, DATASET_FILES.tokens);
  const stats = new StatsCounter(tokenizer);
  const tokens_digest = await encode(path, writing, stats);
  const n = stats.tokens;
  const n_train = Math.floor(n * config.split_ratio);
  checkLength(n, n_train, config);
  const dtype = tokenizer.vocab_size <= 0x10000 ? "uint16" : "uint32";
  const header: DatasetHeader = {
    format: "chatgot-dataset",
    format_version: FORMAT_VERSION,
    name,
    dtype,
    counts: { files, bytes, documents: stats.documents, tokens: n },
    splits: { train: { start: 0, end: n_train }, val: { start: n_train, end: n } },
    settings,
    source_digest,
    tokens_digest,
    tokenizer: tokenizer.toJSON(),
  };
  const counted = stats.finish(new FileTokens(path, dtype, 0, n));
  const write = (file: string, value: unknown) =>
    writeFileSynced(nodePath.join(folder, file), JSON.stringify(value, null, 2) + "\n");
  await write(DATASET_FILES.header, header);
  await write(DATASET_FILES.stats, counted);
  const { tokenizer: file } = header.tokenizer; // Hugging Face's form, of those kinds that are saved in it
  if (file !== undefined) await write(DATASET_FILES.tokenizer, file);
}

/** Writes all token ids. Gives their SHA-256. */
async function encode(path: string, writing: Writing, stats: StatsCounter): Promise<string> {
  const { text, tokenizer, config, threads, onRead } = writing;
  const separatorId = separatorToken(config.separator, tokenizer);
  let length = 0; // characters of the document so far
  const pieces = text.pieces({
    separator: separatorId === null ? config.separator : null,
    onRead,
    dropped: stats.dropped,
    onFragment: (fragment) => {
      length += countCharacters(fragment.text);
      if (!fragment.ends) return;
      stats.addDocument(length);
      length = 0;
    },
  });
  const hash = createHash("sha256");
  using pool = new Pool<"encode">({ kind: "encode", tokenizer: tokenizer.toJSON(), separatorId }, threads);
  try {
    using file = await Deno.open(path, { write: true, create: true, truncate: true });
    for await (const { ids, characters, bytes } of pool.map(pieces)) {
      stats.addTokens(ids, characters, bytes);
      const content = bytesOf(ids);
      hash.update(content);
      for (let done = 0; done < content.length;) done += await file.write(content.subarray(done));
    }
    await file.sync();
  } catch (error) {
    throw fileError(error, path, "write");
  }
  return hash.digest("hex");
}

/** The id of the separator if it is a special token's name, null if it is text. */
function separatorToken(separator: string, tokenizer: Tokenizer): number | null {
  const id = tokenizer.special_tokens.get(separator);
  if (id !== undefined) return id;
  if (/^<\|.*\|>$/.test(separator)) {
    const known = [...tokenizer.special_tokens.keys()];
    throw new UserError(`data.separator: the tokenizer ${tokenizer.kind} has no token ${separator}`, {
      hint: known.length === 0 ? "use text, such as a blank line" : `it has ${known.join(", ")}`,
    });
  }
  return null;
}

function checkLength(n: number, n_train: number, { corpus, split_ratio }: DataConfig): void {
  if (n === 0) throw new UserError(`the corpus ${corpus} is empty`, { hint: "give it some text" });
  if ((split_ratio === 0 || n_train >= 1) && n - n_train >= 2) return;
  throw new UserError(
    `the corpus ${corpus} has ${n} tokens: too short to hold ${n - n_train} of them back`,
    { hint: "use a longer text or another split_ratio; validation needs at least 2 tokens" },
  );
}

function bytesOf(ids: TokenArray): Uint8Array {
  return new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
}
