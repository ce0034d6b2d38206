/** Texts that are written at once and read one after the other: what one is not read for yet waits. */

import type { GenerationOptions, Generator } from "../models/mod.ts";

/**
 * For each sample what `generateText` takes as a generator. All of them share one generation, which goes on whenever a
 * sample is read beyond what is there; so all must be asked for the same prompt and options.
 */
export function sideBySide(
  generator: Pick<Generator, "generateBatch">,
  samples: readonly number[],
): Pick<Generator, "generate">[] {
  const waiting = samples.map((): number[] => []);
  let rows: AsyncGenerator<number[]> | undefined;
  return samples.map((_, b) => ({
    async *generate(prompt: ArrayLike<number>, { sample: _, ...options }: GenerationOptions) {
      rows ??= generator.generateBatch(prompt, options, samples);
      while (true) {
        while (waiting[b]!.length > 0) yield waiting[b]!.shift()!;
        const { value, done } = await rows.next();
        if (done === true) return;
        (value as number[]).forEach((token, i) => waiting[i]!.push(token));
      }
    },
  }));
}
