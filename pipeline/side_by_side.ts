/** Texts that are written at once and read one after the other: what one is not read for yet waits. */

import type { BatchText, GenerationOptions, Generator } from "../models/mod.ts";

/**
 * For each text what `generateText` takes as a generator; prompt and number are those given here. All of them share one
 * generation, which goes on whenever a text is read beyond what is there; so all must be asked for with the same options.
 */
export function sideBySide(
  generator: Pick<Generator, "generateBatch">,
  texts: readonly BatchText[],
): Pick<Generator, "generate">[] {
  const waiting = texts.map((): number[] => []);
  let rows: AsyncGenerator<(number | undefined)[]> | undefined;
  return texts.map((_, b) => ({
    async *generate(_prompt: ArrayLike<number>, { sample: _, ...options }: GenerationOptions) {
      rows ??= generator.generateBatch(texts, options);
      for (let count = 0; count < options.max_new_tokens; count++) {
        while (waiting[b]!.length === 0) {
          const { value, done } = await rows.next();
          if (done === true) return;
          (value as (number | undefined)[]).forEach((token, i) => {
            if (token !== undefined) waiting[i]!.push(token);
          });
        }
        yield waiting[b]!.shift()!;
      }
    },
  }));
}
