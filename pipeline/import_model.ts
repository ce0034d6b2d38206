/**
 * Taking over a model of Hugging Face's form: its folder is checked, and what a GPT-2 consists of is written anew as a
 * model folder of one file of weights, every parameter byte for byte in its stored dtype and under its stored name.
 * `config.json`, the tokenizer's files and `generation_config.json` are copied as they are.
 */

import { join } from "path";
import {
  displayPath,
  exists,
  fileError,
  UserError,
  writeFileSynced,
  writeFolderAtomic,
} from "../common/mod.ts";
import { OWN_TOKENIZER_FILE, TOKENIZER_FILES, tokenizerInFolder } from "../data/mod.ts";
import { type LeftOut, MODEL_FILES, openModelFolder, parameterCount, parameters } from "../models/mod.ts";
import { checkTarget, writeWeights } from "./model_files.ts";

/** The file with a model's settings of generation. */
export const GENERATION_CONFIG_FILE = "generation_config.json";

/** Files that are copied where they are there. */
const COPIED = [MODEL_FILES.config, GENERATION_CONFIG_FILE, OWN_TOKENIZER_FILE, ...TOKENIZER_FILES];

/** What was taken over. */
export interface ImportedModel {
  /** The new folder. */
  path: string;
  /** Number of trainable values. */
  parameters: number;
  /** Number of tensors by dtype. */
  dtypes: Record<string, number>;
  /** Tensors of the files that are no parameters. */
  left_out: LeftOut[];
  /** Null where the folder has none that can be read. */
  tokenizer: { kind: string; vocab_size: number } | null;
  /** Names of the files that were written. */
  files: string[];
}

/**
 * Imports a model folder.
 *
 * @param from folder with `config.json` and weights, absolute
 * @param to the folder to write, absolute; must be empty or not there, unless `overwrite`
 * @throws UserError that names file and place when something is broken or not supported; nothing half-written stays.
 */
export async function importModel(
  from: string,
  to: string,
  options: { overwrite?: boolean } = {},
): Promise<ImportedModel> {
  await checkTarget(to, options.overwrite === true);
  using folder = await openModelFolder(from);
  const tokenizer = await tokenizerInFolder(from);
  const { config, leftOut } = folder;
  if (tokenizer !== undefined && tokenizer.vocab_size > config.vocab_size) {
    throw new UserError(
      `the tokenizer has ${tokenizer.vocab_size} tokens, config.json says vocab_size ${config.vocab_size}`,
      { file: displayPath(from), hint: "tokenizer and weights are not of one model" },
    );
  }
  const known = parameters(config).map(({ name }) => name);
  const dtypes: Record<string, number> = {};
  for (const { dtype } of known.map((name) => folder.info(name))) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
  const files: string[] = [];
  await writeFolderAtomic(to, async (dir) => {
    for (const name of COPIED) {
      if (!await exists(join(from, name))) continue;
      await writeFileSynced(join(dir, name), await readBytes(join(from, name)));
      files.push(name);
    }
    const tensors = known.map((name) => ({ ...folder.info(name), data: () => [folder.bytes(name)] }));
    files.push(...await writeWeights(dir, tensors));
  });
  return {
    path: to,
    parameters: parameterCount(config),
    dtypes,
    left_out: leftOut,
    tokenizer: tokenizer === undefined ? null : { kind: tokenizer.kind, vocab_size: tokenizer.vocab_size },
    files,
  };
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw fileError(error, path);
  }
}
