/** Which tokenizers there are: made again from what was saved, or from a file of Hugging Face's form. */

import { z } from "zod";
import { displayPath, readJson, UserError, validate } from "../../common/mod.ts";
import { CharTokenizer } from "./char.ts";
import { gpt2Tokenizer } from "./gpt2.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { readTokenizerJson } from "./tokenizer_json.ts";

/** The kinds by the names that a config gives them. */
export const TOKENIZER_KINDS = ["char", "gpt2", "bpe", "file"] as const;

/**
 * Makes a saved tokenizer again: what `toJSON` gave, or the object of a `tokenizer.json`. Throws `UserError` if it is
 * damaged or of a kind this version does not know.
 *
 * @param file the name of the file it was saved in, for errors
 *
 * @example
 * ```ts
 * import { tokenizerFromJSON } from "./load.ts";
 * const tokenizer = tokenizerFromJSON({ kind: "char", vocab: ["a", "b", "\uFFFD"] });
 * tokenizer.decode([1, 0]); // "ba"
 * ```
 */
export function tokenizerFromJSON(json: unknown, file?: string): Tokenizer {
  if (json instanceof Object && !("kind" in json) && "model" in json) return readTokenizerJson(json, file);
  const kind = json instanceof Object && "kind" in json ? json.kind : undefined;
  const place = file === undefined ? {} : { file };
  switch (kind) {
    case "char":
      return CharTokenizer.fromJSON(json, file);
    case "gpt2":
      return gpt2Tokenizer();
    case "bpe":
    case "file": {
      const { tokenizer } = validate(SavedBpe, json, place);
      return readTokenizerJson(tokenizer, file, () => ({ kind, tokenizer }));
    }
    default:
      throw new UserError(
        kind === undefined ? "holds no tokenizer" : `the tokenizer "${kind}" is not known to this version`,
        { ...place, hint: `known: ${TOKENIZER_KINDS.join(", ")}` },
      );
  }
}

const SavedBpe = z.strictObject({
  kind: z.string(),
  tokenizer: z.looseObject({}).describe("the object of a tokenizer.json"),
});

/** Reads a tokenizer from a file: a `tokenizer.json`, or one that a checkpoint keeps. Throws `UserError`. */
export async function readTokenizer(path: string): Promise<Tokenizer> {
  return tokenizerFromJSON(await readJson(path), displayPath(path));
}
