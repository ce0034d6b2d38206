/** The section `data` of a config: which text, cut into which tokens, and how much of it is held back. */

import * as nodePath from "path";
import { z } from "zod";
import {
  displayPath,
  exists,
  parseYamlFile,
  UserError,
  userPath,
  validate,
  type YamlFile,
} from "../common/mod.ts";
import { TOKENIZER_KINDS } from "./tokenizers/load.ts";
import { MIN_BPE_VOCAB } from "./tokenizers/train_bpe.ts";

const count = z.int().min(1);

/** Schema of the section `data`. */
export const DataConfig = z.strictObject({
  corpus: z.string().min(1).default("moby-dick").describe(
    "name of a corpus (moby-dick, sotu), a file, a folder, a glob such as episodes/*.txt, or a name under data/raw/",
  ),
  text_field: z.string().min(1).default("text").describe(
    "key of .jsonl and column of .parquet that holds the text",
  ),
  separator: z.string().default("\n\n").describe(
    "what stands between two documents: text, or the name of a special token of the tokenizer: <|endoftext|>",
  ),
  lowercase: z.boolean().default(false).describe("true makes all letters lower case"),
  remove_special_chars: z.boolean().default(false).describe(
    "true leaves only letters, numbers, white space and the punctuation of plain prose",
  ),
  repeated_line_min_chars: count.nullable().default(null).describe(
    "lines of at least so many characters that stood before anywhere in the corpus are left out; null keeps all",
  ),
  near_duplicate_threshold: z.number().min(0.5).max(1).nullable().default(null).describe(
    "documents this similar (0.5 to 1) to an earlier one are left out; null keeps all",
  ),
  tokenizer: z.enum(TOKENIZER_KINDS).default("char").describe(
    "char: a token for each character; gpt2: GPT-2's; bpe: trained on the corpus; file: that of tokenizer_file",
  ),
  tokenizer_file: z.string().min(1).nullable().default(null).describe(
    "a tokenizer.json with a byte-level BPE, for tokenizer: file",
  ),
  vocab_size: z.int().min(MIN_BPE_VOCAB).max(1_000_000).default(8192).describe(
    "tokens that a bpe is trained to have",
  ),
  split_pattern: z.enum(["gpt2", "gpt4"]).default("gpt2").describe(
    "how words are cut before a bpe is trained",
  ),
  min_frequency: count.default(1).describe(
    "char: rarer characters are unknown; bpe: pairs that stand there less often are not merged",
  ),
  max_vocab_size: z.int().min(2).nullable().default(null).describe(
    "char: only the commonest characters, so that there are at most so many tokens; null takes all",
  ),
  split_ratio: z.number().min(0).lt(1).default(0.9).describe(
    "part of the tokens to train on; the rest, the text's end, is for validation",
  ),
  sequence_length: count.nullable().default(null).describe(
    "cut the text into sequences of so many tokens; null lets training windows begin anywhere",
  ),
  stride: count.nullable().default(null).describe(
    "a sequence begins every so many tokens; null: side by side",
  ),
  shuffle: z.boolean().default(true).describe("false takes training windows in the order of the text"),
  processed_dir: z.string().min(1).default("data/processed").describe("folder for prepared datasets"),
}).superRefine((data, context) => {
  const fault = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
  if (data.tokenizer === "file" && data.tokenizer_file === null) {
    fault("tokenizer_file", "expected the path of a tokenizer.json, since tokenizer is file");
  }
  if (data.tokenizer !== "file" && data.tokenizer_file !== null) {
    fault("tokenizer_file", `is not used by tokenizer ${data.tokenizer}; say tokenizer: file`);
  }
});

/** The section `data` with all defaults filled in. */
export type DataConfig = z.output<typeof DataConfig>;

/**
 * The section `data` of a parsed config, as plain keys: the section itself if it is one, or that of the file it
 * names (`data: configs/data/sotu_char.yaml`; the path starts where the user stands, else beside the config).
 * A config without the section gives an empty one.
 *
 * @returns the keys with the file and lines they come from, to be given to `validate` with `prefix: ["data"]`
 */
export async function dataSection(config: YamlFile): Promise<YamlFile> {
  const section = config.value instanceof Object ? (config.value as Record<string, unknown>).data : undefined;
  if (typeof section !== "string") return { ...config, value: section ?? {} };
  const beside = nodePath.resolve(userPath(config.file), "..", section);
  const path = await exists(userPath(section)) ? userPath(section) : beside;
  if (!await exists(path)) {
    const line = config.lineOf(["data"]);
    throw new UserError(`data: there is no file ${section}`, {
      file: config.file,
      ...(line === undefined ? {} : { line }),
      hint: "give the path of a file of configs/data/, or the keys themselves",
    });
  }
  const file = await parseYamlFile(path);
  const inner = file.value instanceof Object ? (file.value as Record<string, unknown>).data : undefined;
  if (!(inner instanceof Object)) {
    throw new UserError("has no section `data`", {
      file: displayPath(path),
      hint: "begin the file with `data:` and indent its keys",
    });
  }
  return { ...file, value: inner };
}

/** Checks the keys of a section `data` and fills in defaults. Throws `UserError` that names file and line. */
export function checkDataConfig(keys: unknown, place: Partial<YamlFile> = {}): DataConfig {
  return validate(DataConfig, keys, { ...place, prefix: ["data"] });
}
