/**
 * Tokenizers in the form of Hugging Face's tokenizers library: `tokenizer.json`, and the files beside it that older
 * readers of GPT-2's family want.
 */

import { bytesToCharacters } from "./bytes.ts";
import { ByteLevelBpe } from "./byte_level_bpe.ts";
import { UNKNOWN_CHARACTER } from "./char.ts";
import { END_OF_TEXT, type Tokenizer } from "./tokenizer.ts";

/** What `tokenizer.json` holds for a byte-level BPE of our making. */
export type ByteLevelJson = ReturnType<typeof byteLevelJson>;

/**
 * The object that `tokenizer.json` holds for a byte-level BPE whose last token is `<|endoftext|>`.
 *
 * @param names the printable form of each id's bytes, without `<|endoftext|>`
 * @param merges by rank
 * @param pretokenizers how text is cut
 */
export function byteLevelJson(
  names: readonly string[],
  merges: [string, string][],
  pretokenizers: Record<string, unknown>[],
) {
  const vocab = vocabulary([...names, END_OF_TEXT]);
  return byteLevelFile(vocab, merges, [{ name: END_OF_TEXT, id: names.length }], pretokenizers);
}

/** GPT-2's way of cutting text. */
const GPT2_PRE_TOKENIZER = {
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: true,
};

/** The object of the `tokenizer.json` that GPT-2's older files, `vocab.json` and `merges.txt`, stand for. */
export function gpt2FormJson(
  vocab: Record<string, number>,
  merges: [string, string][],
  special: { name: string; id: number }[],
): ByteLevelJson {
  return byteLevelFile(vocab, merges, special, [GPT2_PRE_TOKENIZER]);
}

function byteLevelFile(
  vocab: Record<string, number>,
  merges: [string, string][],
  special: { name: string; id: number }[],
  pretokenizers: Record<string, unknown>[],
) {
  return {
    ...EMPTY,
    added_tokens: special.map(({ name, id }) => ({
      id,
      content: name,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    pre_tokenizer: pretokenizers.length === 1 ? pretokenizers[0] : { type: "Sequence", pretokenizers },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { ...BPE, vocab, merges },
  };
}

const EMPTY = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
};

const BPE = {
  type: "BPE",
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
};

function vocabulary(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name, id) => [name, id]));
}

/**
 * A tokenizer as the files of a Hugging Face model folder, by file name: `tokenizer.json`, `tokenizer_config.json`, and
 * for byte-level BPE `vocab.json` and `merges.txt`.
 *
 * @example
 * ```ts
 * import { gpt2Tokenizer } from "./gpt2.ts";
 * import { huggingFaceTokenizerFiles } from "./write_tokenizer_json.ts";
 * Object.keys(huggingFaceTokenizerFiles(gpt2Tokenizer()));
 * // ["tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"]
 * ```
 */
export function huggingFaceTokenizerFiles(tokenizer: Tokenizer): Record<string, string> {
  const json = tokenizerJson(tokenizer);
  const { vocab, merges } = json.model;
  const end = tokenizer.special_tokens.has(END_OF_TEXT) ? END_OF_TEXT : undefined;
  const config = {
    tokenizer_class: tokenizer.kind === "gpt2" ? "GPT2Tokenizer" : "PreTrainedTokenizerFast",
    ...(end === undefined ? {} : { bos_token: end, eos_token: end, unk_token: end }),
    ...(tokenizer.kind === "char" ? { unk_token: UNKNOWN_CHARACTER } : {}),
    clean_up_tokenization_spaces: false,
  };
  const files: Record<string, string> = {
    "tokenizer.json": text(json),
    "tokenizer_config.json": text(config),
  };
  if (tokenizer.kind === "char") return files;
  const lines = merges.map((merge) => Array.isArray(merge) ? merge.join(" ") : merge);
  files["vocab.json"] = text(vocab);
  files["merges.txt"] = ["#version: 0.2", ...lines, ""].join("\n");
  return files;
}

interface AnyTokenizerJson {
  model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
}

function tokenizerJson(tokenizer: Tokenizer): AnyTokenizerJson {
  const saved = tokenizer.toJSON();
  if (saved.kind === "char") return charJson(saved.vocab as string[]);
  if (tokenizer.kind === "gpt2" && tokenizer instanceof ByteLevelBpe) return gpt2Json(tokenizer);
  return saved.tokenizer as AnyTokenizerJson;
}

/** GPT-2's as Hugging Face has it; its merges are had from the ranks of tokens, which tiktoken has instead. */
function gpt2Json(tokenizer: ByteLevelBpe): ByteLevelJson {
  const names: string[] = [];
  const merges: [string, string][] = [];
  for (let id = 0; id < tokenizer.vocab_size - 1; id++) {
    names.push(bytesToCharacters(tokenizer.bytesOf(id)));
    const parts = tokenizer.partsOf(id);
    if (parts !== undefined) merges.push([names[parts[0]]!, names[parts[1]]!]);
  }
  return byteLevelJson(names, merges, [GPT2_PRE_TOKENIZER]);
}

/** Characters are a BPE that merges nothing and is not cut before. */
function charJson(vocab: readonly string[]) {
  return {
    ...EMPTY,
    decoder: { type: "Fuse" },
    model: { ...BPE, unk_token: UNKNOWN_CHARACTER, vocab: vocabulary(vocab), merges: [] },
  };
}

function text(value: unknown): string {
  return JSON.stringify(value, null, 2) + "\n";
}
