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

/** Schema of the section `data`. */
export const DataConfig = z.strictObject({
  corpus: z.string().min(1).default("moby-dick").describe(
    "name of a corpus (moby-dick, sotu), a text file, a folder of .txt files, or a name under data/raw/",
  ),
  tokenizer: z.enum(["char"]).default("char").describe("char: one token for each Unicode character"),
  split_ratio: z.number().gt(0).lt(1).default(0.9).describe(
    "part of the tokens to train on; the rest, the text's end, is for validation",
  ),
  processed_dir: z.string().min(1).default("data/processed").describe("folder for prepared datasets"),
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
