/** Several texts from one model, written side by side: what `chatgot generate` prints and the pipeline keeps. */

import type { GenerationConfig } from "./config.ts";
import { promptText, type TextEnd } from "./generate_text.ts";
import type { TextModel } from "./text_model.ts";

/** Texts that are written side by side, with a KV cache each. */
const AT_ONCE = 8;

/** Texts of one prompt, or of several. */
export interface Samples {
  /** The first prompt. */
  prompt: string;
  seed: number;
  samples: Sample[];
  /** Null where there was but one token. */
  tokens_per_second: number | null;
}

/** A text that was written. */
export interface Sample {
  prompt: string;
  /** What the model made of it. */
  text: string;
  tokens: number;
  /** The text that ended it. */
  stop: string | null;
}

/** Who hears of texts as they come. */
export interface SampleHooks {
  /** A text begins, the first with number 0. */
  onBegin?: (text: number, prompt: string) => void;
  /** A piece of it; true ends everything. */
  onPiece?: (piece: string) => boolean | void | Promise<boolean | void>;
  /** It is whole. */
  onEnd?: () => void;
}

/**
 * Lets a model write the texts of a section `generation`.
 *
 * @param prompts instead of the section's own; each gets `num_samples` texts
 * @returns undefined when a hook ended it
 */
export async function writeSamples(
  model: TextModel,
  { num_samples, precision: _, ...options }: GenerationConfig,
  { onBegin, onPiece, onEnd }: SampleHooks = {},
  prompts: readonly string[] = [options.prompt],
): Promise<Samples | undefined> {
  const samples: Sample[] = [];
  const texts = prompts.flatMap((prompt) =>
    Array.from({ length: num_samples }, (_, sample) => ({ prompt: promptText(prompt), sample }))
  );
  let begin = NaN;
  const writers = Array.from(
    { length: Math.ceil(texts.length / AT_ONCE) },
    (_, i) => model.generateTogether(texts.slice(i * AT_ONCE, (i + 1) * AT_ONCE)),
  ).flat();
  const { prompt: _prompt, ...choice } = options;
  for (const [i, write] of writers.entries()) {
    let text = "";
    let end: TextEnd = { tokens: 0, stop: undefined };
    const { prompt } = texts[i]!;
    onBegin?.(i, prompt);
    for await (const piece of write({ ...choice, onEnd: (e) => end = e })) {
      if (Number.isNaN(begin)) begin = performance.now(); // the first token waits for compilers
      text += piece;
      if (await onPiece?.(piece)) return undefined;
    }
    samples.push({ prompt, text, tokens: end.tokens, stop: end.stop ?? null });
    onEnd?.();
  }
  const tokens = samples.reduce((sum, { tokens }) => sum + tokens, 0);
  const { seed } = options;
  const prompt = texts[0]!.prompt;
  const seconds = (performance.now() - begin) / 1000;
  return { prompt, seed, samples, tokens_per_second: tokens > 1 ? (tokens - 1) / seconds : null };
}
