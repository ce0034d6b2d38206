/** Which tokenizers there are: made from texts by the config's name, or from what was saved. */

import { UserError } from "../../common/mod.ts";
import { CharTokenizer } from "./char.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Makes the tokenizer that a config names for some texts. */
export function makeTokenizer(kind: "char", texts: Iterable<string>): Tokenizer {
  switch (kind) {
    case "char":
      return CharTokenizer.fromTexts(texts);
  }
}

/**
 * Makes a saved tokenizer again. Throws `UserError` if it is damaged or of a kind this version does not know.
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
  const kind = json instanceof Object && "kind" in json ? json.kind : undefined;
  if (kind === "char") return CharTokenizer.fromJSON(json, file);
  throw new UserError(
    kind === undefined ? "holds no tokenizer" : `the tokenizer "${kind}" is not known to this version`,
    { ...(file === undefined ? {} : { file }), hint: "known: char" },
  );
}
