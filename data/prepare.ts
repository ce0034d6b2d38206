/**
 * From a corpus to a dataset: read, cut into tokens, split, keep. The result's folder is named by a digest of all
 * that goes into it (text, tokenizer, split), so unchanged input is not done again and changed input never
 * meets an old result.
 */

import * as nodePath from "path";
import { createHash } from "crypto";
import { displayPath, exists, sha256, UserError, userPath } from "../common/mod.ts";
import { checkDataConfig, type DataConfig } from "./config.ts";
import { findCorpus, readCorpusFile } from "./corpora.ts";
import { Dataset, type TokenArray } from "./dataset.ts";
import { type DatasetHeader, FORMAT_VERSION } from "./header.ts";
import { openDataset, tokensDigest, writeDataset } from "./processed.ts";
import { CharTokenizer } from "./tokenizers/char.ts";
import type { Tokenizer } from "./tokenizers/tokenizer.ts";

/** What stands between two files of a corpus. */
const SEPARATOR = "\n\n";

/** What `prepare` can be told beside the config. */
export interface PrepareOptions {
  /** Cut the text with this tokenizer, such as a trained model's, and not with one made from the text. */
  tokenizer?: Tokenizer;
  /** Called after each file that was read. */
  onFile?: (done: number, total: number) => void;
}

/**
 * Prepares a dataset, or takes it as it was prepared before.
 *
 * @param source a corpus (name, file or folder) or the section `data` of a config; defaults fill what is missing
 * @param overrides keys that go before those of `source`
 * @throws UserError if the corpus is missing, empty, not UTF-8 or too short to split, or nothing can be written
 *
 * @example
 * ```ts
 * import { prepare } from "./prepare.ts";
 * const folder = await Deno.makeTempDir();
 * const data = await prepare("moby-dick", { tokenizer: "char", processed_dir: folder });
 * console.log(data.tokenizer.vocab_size, data.tokenizer.decode(data.val.subarray(0, 60)));
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function prepare(
  source: string | Partial<DataConfig>,
  overrides: Partial<DataConfig> = {},
  options: PrepareOptions = {},
): Promise<Dataset> {
  const given = typeof source === "string" ? { corpus: source } : source;
  const config = checkDataConfig({ ...given, ...overrides });
  const corpus = await findCorpus(config.corpus);
  const { texts, bytes, source_digest } = await readTexts(corpus.files, options.onFile);
  if (texts.length === 0) {
    throw new UserError(`the corpus ${config.corpus} is empty`, { hint: "give it some text" });
  }
  const settings = {
    tokenizer: options.tokenizer?.kind ?? config.tokenizer,
    split_ratio: config.split_ratio,
  };
  const identity = {
    FORMAT_VERSION,
    source_digest,
    settings,
    tokenizer: options.tokenizer?.toJSON() ?? null,
  };
  const name = corpus.name.normalize("NFC").replace(/[^\p{L}\p{N}_-]+/gu, "_").slice(0, 60);
  const folder = nodePath.join(
    userPath(config.processed_dir),
    `${name}_${settings.tokenizer}_${sha256(JSON.stringify(identity)).slice(0, 10)}`,
  );
  const kept = await openKept(folder, source_digest);
  if (kept !== undefined) return kept;

  const tokenizer = options.tokenizer ?? CharTokenizer.fromTexts(texts);
  const tokens = encodeTexts(texts, tokenizer);
  const n_train = Math.floor(tokens.length * config.split_ratio);
  if (n_train < 1 || tokens.length - n_train < 2) {
    throw new UserError(
      `the corpus ${config.corpus} has ${tokens.length} tokens: too short to hold ` +
        `${tokens.length - n_train} of them back`,
      { hint: "use a longer text or another split_ratio; validation needs at least 2 tokens" },
    );
  }
  const header: DatasetHeader = {
    format: "chatgot-dataset",
    format_version: FORMAT_VERSION,
    name,
    dtype: tokens instanceof Uint16Array ? "uint16" : "uint32",
    counts: { files: corpus.files.length, bytes, tokens: tokens.length },
    splits: { train: { start: 0, end: n_train }, val: { start: n_train, end: tokens.length } },
    settings,
    source_digest,
    tokens_digest: tokensDigest(tokens),
    tokenizer: tokenizer.toJSON(),
  };
  await writeDataset(folder, header, tokens);
  return new Dataset(tokens, tokenizer, header, folder);
}

/**
 * The texts of all files that have any, each but the first after a blank line; their size on disk; and a digest
 * over the files' lengths and bytes.
 */
async function readTexts(
  files: readonly (string | URL)[],
  onFile: PrepareOptions["onFile"],
): Promise<{ texts: string[]; bytes: number; source_digest: string }> {
  const texts: string[] = [];
  const hash = createHash("sha256");
  let size = 0;
  for (const [i, file] of files.entries()) {
    const { bytes, text } = await readCorpusFile(file);
    hash.update(`${bytes.length}\n`).update(bytes);
    size += bytes.length;
    if (text !== "") texts.push(texts.length === 0 ? text : SEPARATOR + text);
    onFile?.(i + 1, files.length);
  }
  return { texts, bytes: size, source_digest: hash.digest("hex") };
}

/** A dataset that was prepared before, or undefined if there is none or it is damaged: then it is made again. */
async function openKept(folder: string, source_digest: string): Promise<Dataset | undefined> {
  if (!await exists(folder)) return undefined;
  if (!(await Deno.stat(folder)).isDirectory) {
    throw new UserError("a file stands where the dataset's folder should be", {
      file: displayPath(folder),
      hint: "move that file away or choose another processed_dir",
    });
  }
  try {
    const dataset = await openDataset(folder);
    return dataset.header.source_digest === source_digest ? dataset : undefined;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** The token ids of texts in one row. */
function encodeTexts(texts: readonly string[], tokenizer: Tokenizer): TokenArray {
  const pieces = texts.map((text) => tokenizer.encode(text));
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const tokens = tokenizer.vocab_size <= 0x10000 ? new Uint16Array(length) : new Uint32Array(length);
  let at = 0;
  for (const piece of pieces) {
    tokens.set(piece, at);
    at += piece.length;
  }
  return tokens;
}
