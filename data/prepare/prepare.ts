/**
 * From a corpus to a dataset: read, clean, cut into tokens, split, keep. The result's folder is named by a digest of all
 * that goes into it (files, tokenizer, settings), so unchanged input is not done again and changed input never meets an
 * old result. Text streams through in pieces, however large the corpus is.
 */

import * as nodePath from "path";
import { displayPath, exists, sha256, UserError, userPath, writeFolderAtomic } from "../../common/mod.ts";
import { checkDataConfig, type DataConfig } from "../config.ts";
import { findCorpus } from "../corpora.ts";
import type { Dataset, WindowOptions } from "../dataset.ts";
import { FORMAT_VERSION } from "../header.ts";
import { DATASET_FILES, openDataset } from "../processed.ts";
import { gpt2Tokenizer } from "../tokenizers/gpt2.ts";
import { readTokenizer } from "../tokenizers/load.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { makeTokenizer } from "./make_tokenizer.ts";
import { checkUnchanged, lookAt, sizeOf } from "./source.ts";
import { type Progressed, TextStream } from "./text_stream.ts";
import { writeTokens } from "./write_tokens.ts";

/** What `prepare` can be told beside the config. */
export interface PrepareOptions {
  /** Cut the text with this tokenizer, such as a trained model's, and not with the one that the config says. */
  tokenizer?: Tokenizer;
  /** Called often, with the bytes of the corpus that a stage has read. */
  onProgress?: (progress: Progressed) => void;
  /** Ends the work; nothing half-made is left behind. */
  signal?: AbortSignal;
  /**
   * What to do with a dataset that was prepared before: take it, and make it where there is none; make it again; or take it
   * and refuse to make one. @default "take"
   */
  kept?: "take" | "remake" | "require";
  /** Threads beside this one. @default as many as there are processors, at most 4; none for little text */
  threads?: number;
}

/** A half-made dataset that was last written to so long ago is nobody's any more. */
const LEFT_MS = 60 * 60 * 1000;

/** Text of fewer bytes is done before workers would have started. */
const LITTLE = 4 << 20;

/**
 * Prepares a dataset, or takes it as it was prepared before.
 *
 * @param source a corpus (name, file, folder or glob) or the section `data` of a config; defaults fill what is missing
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
  const progress = progressOf(await sizeOf(corpus.files), options);
  const looked = await lookAt(corpus.files, progress("look"));
  const fixed = options.tokenizer ?? await fixedTokenizer(config);
  const settings = settingsOf(config, fixed, options.tokenizer !== undefined);
  const name = corpus.name.normalize("NFC").replace(/[^\p{L}\p{N}_-]+/gu, "_").slice(0, 60);
  const identity = {
    FORMAT_VERSION,
    source_digest: looked.digest,
    settings,
    tokenizer: fixed?.toJSON() ?? null,
  };
  const folder = nodePath.join(
    userPath(config.processed_dir),
    `${name}_${settings.tokenizer}_${sha256(JSON.stringify(identity)).slice(0, 10)}`,
  );
  const { sequence_length, stride, shuffle } = config;
  const windows = { sequence_length, stride, shuffle };
  const kept = options.kept === "remake" ? undefined : await openKept(folder, looked.digest, windows);
  if (kept !== undefined) return kept;
  if (options.kept === "require") {
    throw new UserError(`there is no prepared dataset of ${corpus.name} with these settings`, {
      file: displayPath(folder),
      hint: "prepare it first: chatgot prepare",
    });
  }

  await removeLeftovers(folder);
  const cores = Math.min(4, navigator.hardwareConcurrency);
  const threads = options.threads ?? (looked.bytes < LITTLE ? 0 : cores);
  await writeFolderAtomic(folder, async (temporary) => {
    const text = new TextStream(looked.files, config, temporary);
    const tokenizer = fixed ?? await makeTokenizer(text, config, threads, progress);
    await writeTokens(temporary, {
      text,
      tokenizer,
      config,
      threads,
      header: {
        name,
        settings,
        source_digest: looked.digest,
        files: looked.files.length,
        bytes: looked.bytes,
      },
      onRead: progress("encode"),
    });
    await checkUnchanged(looked);
  });
  return await openMade(folder, windows);
}

/**
 * Digest of a corpus's content, which changes when a file does, comes or goes.
 *
 * @param corpus a corpus (name, file, folder or glob)
 * @throws UserError if it is missing or cannot be read
 */
export async function corpusDigest(corpus: string): Promise<string> {
  return (await lookAt((await findCorpus(corpus)).files, () => {})).digest;
}

/** Removes what earlier work on the same folder left behind when it was killed: nothing has been written there for long. */
async function removeLeftovers(folder: string): Promise<void> {
  const parent = nodePath.dirname(folder);
  if (!await Deno.stat(parent).then((info) => info.isDirectory, () => false)) return;
  for await (const { name } of Deno.readDir(parent)) {
    if (!name.startsWith(`.${nodePath.basename(folder)}.`) || !name.endsWith(".tmp")) continue;
    const path = nodePath.join(parent, name);
    const tokens = nodePath.join(path, DATASET_FILES.tokens);
    const written = await Deno.stat(tokens).then(({ mtime }) => mtime?.getTime(), () => undefined);
    if (written !== undefined && Date.now() - written > LEFT_MS) await Deno.remove(path, { recursive: true });
  }
}

/** Opens what was just made. Another process that makes the same may at this moment put its own in place of it. */
async function openMade(folder: string, windows: WindowOptions): Promise<Dataset> {
  for (let attempt = 1;; attempt++) {
    try {
      return await openDataset(folder, windows);
    } catch (error) {
      if (attempt === 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20 * attempt));
    }
  }
}

/** A tokenizer that does not depend on the corpus, or undefined if it is to be made from it. */
async function fixedTokenizer({ tokenizer, tokenizer_file }: DataConfig): Promise<Tokenizer | undefined> {
  if (tokenizer === "gpt2") return gpt2Tokenizer();
  return tokenizer === "file" ? await readTokenizer(userPath(tokenizer_file!)) : undefined;
}

/** The settings that the tokens depend on. */
function settingsOf(config: DataConfig, fixed: Tokenizer | undefined, isGiven: boolean) {
  const { text_field, separator, lowercase, remove_special_chars, split_ratio } = config;
  const { repeated_line_min_chars, near_duplicate_threshold } = config;
  const { vocab_size, split_pattern, min_frequency, max_vocab_size } = config;
  return {
    tokenizer: isGiven ? fixed!.kind : config.tokenizer,
    ...(fixed === undefined && config.tokenizer === "char" ? { min_frequency, max_vocab_size } : {}),
    ...(fixed === undefined && config.tokenizer === "bpe"
      ? { vocab_size, split_pattern, min_frequency }
      : {}),
    text_field,
    separator,
    lowercase,
    remove_special_chars,
    repeated_line_min_chars,
    near_duplicate_threshold,
    split_ratio,
  };
}

/** Makes functions that count the bytes that a stage reads, tell of them, and end the work when it is to end. */
function progressOf(total: number, { onProgress, signal }: PrepareOptions) {
  return (stage: Progressed["stage"]) => {
    let done = 0;
    return (bytes: number) => {
      signal?.throwIfAborted();
      done += bytes;
      onProgress?.({ stage, done, total });
    };
  };
}

/** A dataset that was prepared before, or undefined if there is none or it is damaged: then it is made again. */
async function openKept(
  folder: string,
  source_digest: string,
  windows: WindowOptions,
): Promise<Dataset | undefined> {
  if (!await exists(folder)) return undefined;
  if (!(await Deno.stat(folder)).isDirectory) {
    throw new UserError("a file stands where the dataset's folder should be", {
      file: displayPath(folder),
      hint: "move that file away or choose another processed_dir",
    });
  }
  try {
    const dataset = await openDataset(folder, windows);
    const isWhole = await exists(nodePath.join(folder, DATASET_FILES.stats));
    return isWhole && dataset.header.source_digest === source_digest ? dataset : undefined;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
