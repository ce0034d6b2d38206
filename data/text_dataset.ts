/** A text as a dataset that stands nowhere on disk: for evaluating a model on it. */

import { sha256, UserError } from "../common/mod.ts";
import { Dataset } from "./dataset.ts";
import type { TokenArray } from "./file_tokens.ts";
import { FORMAT_VERSION } from "./header.ts";
import { tokensDigest } from "./processed.ts";
import type { Tokenizer } from "./tokenizers/tokenizer.ts";

/**
 * A dataset whose validation split is the whole of a text; there is nothing to train on.
 *
 * @param name what the dataset is called
 * @throws UserError when the text has fewer than two tokens.
 *
 * @example
 * ```ts
 * import { CharTokenizer } from "./tokenizers/char.ts";
 * import { datasetOfText } from "./text_dataset.ts";
 * console.log(datasetOfText("Call me", CharTokenizer.fromTexts(["Call me"]), "call").val.length); // 7
 * ```
 */
export function datasetOfText(text: string, tokenizer: Tokenizer, name: string): Dataset {
  const ids = tokenizer.encode(text);
  if (ids.length < 2) {
    throw new UserError(`the text ${name} has ${ids.length} tokens, at least 2 are needed`, {
      hint: "give it some text",
    });
  }
  const tokens: TokenArray = tokenizer.vocab_size <= 0x10000 ? new Uint16Array(ids) : new Uint32Array(ids);
  return new Dataset(
    tokens,
    tokenizer,
    {
      format: "chatgot-dataset",
      format_version: FORMAT_VERSION,
      name,
      dtype: tokens instanceof Uint16Array ? "uint16" : "uint32",
      counts: { files: 1, bytes: new TextEncoder().encode(text).length, documents: 1, tokens: tokens.length },
      splits: { train: { start: 0, end: 0 }, val: { start: 0, end: tokens.length } },
      settings: { tokenizer: tokenizer.kind, split_ratio: 0 },
      source_digest: sha256(text),
      tokens_digest: tokensDigest(tokens),
      tokenizer: tokenizer.toJSON(),
    },
    "",
  );
}
