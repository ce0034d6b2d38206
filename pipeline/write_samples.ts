/** Several texts from one model, written side by side: what `chatgot generate` prints and the pipeline keeps. */

import type { GenerationConfig } from "./config.ts";
import type { TextEnd } from "./generate_text.ts";
import type { TextModel } from "./text_model.ts";

/** Texts that are written side by side, with a KV cache each. */
const AT_ONCE = 8;

/** Texts of one prompt. */
export interface Samples {
  prompt: string;
  seed: number;
  samples: { text: string; tokens: number; /** The text that ended it. */ stop: string | null }[];
  /** Null where there was but one token. */
  tokens_per_second: number | null;
}

/** Who hears of texts as they come. */
export interface SampleHooks {
  /** A text begins. */
  onBegin?: (sample: number) => void;
  /** A piece of it; true ends everything. */
  onPiece?: (piece: string) => boolean | void | Promise<boolean | void>;
  /** It is whole. */
  onEnd?: () => void;
}

/**
 * Lets a model write the texts of a section `generation`.
 *
 * @returns undefined when a hook ended it
 */
export async function writeSamples(
  model: TextModel,
  { num_samples, precision: _, ...options }: GenerationConfig,
  { onBegin, onPiece, onEnd }: SampleHooks = {},
): Promise<Samples | undefined> {
  const samples: Samples["samples"] = [];
  let begin = NaN;
  const writers = Array.from({ length: Math.ceil(num_samples / AT_ONCE) }, (_, i) => {
    const first = i * AT_ONCE;
    const count = Math.min(AT_ONCE, num_samples - first);
    return model.generateTogether(Array.from({ length: count }, (_, j) => first + j));
  }).flat();
  for (const [sample, write] of writers.entries()) {
    let text = "";
    let end: TextEnd = { tokens: 0, stop: undefined };
    onBegin?.(sample);
    for await (const piece of write({ ...options, onEnd: (e) => end = e })) {
      if (Number.isNaN(begin)) begin = performance.now(); // the first token waits for compilers
      text += piece;
      if (await onPiece?.(piece)) return undefined;
    }
    samples.push({ text, tokens: end.tokens, stop: end.stop ?? null });
    onEnd?.();
  }
  const tokens = samples.reduce((sum, { tokens }) => sum + tokens, 0);
  const { prompt, seed } = options;
  const seconds = (performance.now() - begin) / 1000;
  return { prompt, seed, samples, tokens_per_second: tokens > 1 ? (tokens - 1) / seconds : null };
}
