/** Which batch is chosen by what was measured. */

import type { Batch } from "./candidates.ts";
import type { TrialOutcome } from "./trial.ts";

/** Steps that a batch is measured by, in four intervals of which the first, with the compilation, does not count. */
export const STEPS = 12;

/** How much faster than the configuration's own another batch must be: less is noise. */
const CLEARLY = 1.02;

/** A batch that was measured. */
export interface MeasuredBatch extends Batch {
  /** In the fastest interval of steps; null where nothing was measured. */
  tokens_per_second: number | null;
  /** What the memory plan counts. */
  memory_bytes: number | null;
  run: string | null;
  status: TrialOutcome["status"];
  why: string | null;
}

/**
 * The batch of the best throughput; the first one, which is the configuration's own, unless another is clearly faster.
 *
 * @example
 * ```ts
 * import { chooseBatch } from "./throughput.ts";
 * const measured = { memory_bytes: 1, run: "a", status: "reached" as const, why: null };
 * chooseBatch([
 *   { batch_size: 4, accumulate_grad_batches: 3, tokens_per_second: 1000, ...measured },
 *   { batch_size: 12, accumulate_grad_batches: 1, tokens_per_second: 1900, ...measured },
 * ]); // { batch_size: 12, accumulate_grad_batches: 1 }
 * ```
 */
export function chooseBatch(measured: readonly MeasuredBatch[]): Batch {
  const [own, ...others] = measured;
  let chosen = own!;
  for (const each of others) {
    const least = (chosen.tokens_per_second ?? 0) * (chosen === own ? CLEARLY : 1);
    if ((each.tokens_per_second ?? 0) > least) chosen = each;
  }
  const { batch_size, accumulate_grad_batches } = chosen;
  return { batch_size, accumulate_grad_batches };
}
