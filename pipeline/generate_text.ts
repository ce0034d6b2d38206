/**
 * Text from a model: prompt in, text out piece by piece, until enough tokens were made or a stop text appeared. Choosing
 * tokens is the business of `models/`; opening a model from a folder that of `text_model.ts`.
 */

import { validate } from "../common/mod.ts";
import type { Tokenizer } from "../data/mod.ts";
import type { Generator } from "../models/mod.ts";
import { generationSectionSchema } from "./config.ts";

/** What to write: keys of the section `generation` and a little more. What is left out has its default. */
export interface TextOptions {
  /** Text to go on from. @default "\n" */
  prompt?: string;
  /** Tokens to generate. @default 300 */
  max_new_tokens?: number;
  /** Below 1 bolder, above 1 wilder; 0 takes the likeliest token always. @default 0.8 */
  temperature?: number;
  /** Only the k likeliest tokens are eligible; 0 means all. @default 0 */
  top_k?: number;
  /** Only the likeliest tokens that together reach this probability are eligible; 1 means all. @default 1 */
  top_p?: number;
  /** The same seed writes the same text. @default 1 */
  seed?: number;
  /** Texts at which generation ends. @default [] */
  stop?: string[];
  /** How weights stand while decoding, which is settled when the model is opened. @default "f32" */
  precision?: "f32" | "f16";
  /** Number of the sample among several of one prompt and seed; each is another text. @default 0 */
  sample?: number;
  /** Told how the text ended. */
  onEnd?: (end: TextEnd) => void;
}

/** How a text ended. */
export interface TextEnd {
  /** Tokens that were generated. */
  tokens: number;
  /** The stop text that ended it; undefined when max_new_tokens did. */
  stop: string | undefined;
}

/**
 * Writes a text that goes on from a prompt; the prompt itself and the stop text are not in it. Pieces come as soon as
 * it is certain that they are no beginning of a stop text.
 *
 * An empty prompt stands for a new line, since a model needs at least one token to go on from. Characters that the tokenizer
 * does not know read as its unknown token (see `unknownCharacters`).
 *
 * @throws UserError when an option is out of its range, or the model's weights are broken.
 */
export async function* generateText(
  generator: Pick<Generator, "generate">,
  tokenizer: Tokenizer,
  options: TextOptions = {},
): AsyncGenerator<string> {
  const { sample = 0, onEnd, precision: _, ...keys } = options;
  const prompt = promptText(keys.prompt);
  const config = validate(generationSectionSchema, { ...keys, prompt }, { prefix: ["generation"] });
  const { held, finish } = holdBack(config.stop);
  const decoder = tokenizer.decoder();
  let tokens = 0;
  for await (const token of generator.generate(tokenizer.encode(config.prompt), { ...config, sample })) {
    tokens++;
    const { text, stop } = held(decoder.push(token));
    if (text !== "") yield text;
    if (stop === undefined) continue;
    onEnd?.({ tokens, stop });
    return;
  }
  const { text, stop } = held(decoder.end());
  const rest = stop === undefined ? text + finish() : text;
  if (rest !== "") yield rest;
  onEnd?.({ tokens, stop });
}

/** The text that stands for a prompt: a new line for an empty one, or for none. */
export function promptText(prompt: string | undefined): string {
  return prompt === undefined || prompt === "" ? "\n" : prompt;
}

/**
 * Characters of a text that a tokenizer cannot say, each once, in the order of their first appearance.
 *
 * @example
 * ```ts
 * import { CharTokenizer } from "../data/mod.ts";
 * import { unknownCharacters } from "./generate_text.ts";
 * console.log(unknownCharacters("café ß", CharTokenizer.fromTexts(["a face"]))); // ["é", "ß"]
 * ```
 */
export function unknownCharacters(text: string, tokenizer: Tokenizer): string[] {
  return [...new Set(text)].filter((character) =>
    tokenizer.decode(tokenizer.encode(character)) !== character
  );
}

/** Passes text on but for what may still become a stop text; the earliest stop text wins, of two there the longer. */
function holdBack(stops: readonly string[]) {
  let pending = "";
  const held = (text: string): { text: string; stop: string | undefined } => {
    pending += text;
    const found = stops.map((stop) => ({ stop, at: pending.indexOf(stop) })).filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at || b.stop.length - a.stop.length)[0];
    const safe = found?.at ?? pending.length - unfinished(pending, stops);
    const passed = pending.slice(0, safe);
    pending = pending.slice(safe);
    return { text: passed, stop: found?.stop };
  };
  return { held, finish: () => pending };
}

/** Length of the longest end of a text that begins a stop text without completing it. */
function unfinished(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let n = Math.min(stop.length - 1, text.length); n > longest; n--) {
      if (stop.startsWith(text.slice(-n))) longest = n;
    }
  }
  return longest;
}
