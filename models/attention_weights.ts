/** What each token of a text attends to: the weights of attention, read back from the device for looking at them. */

import { type Gpu, KernelCache, type ParameterStore, plan, Program } from "../gpu/mod.ts";
import type { ModelConfig } from "./config.ts";
import { attentionWeightsGraph } from "./gpt.ts";

/**
 * The weights of one layer's attention over a sequence. Compiles for its length.
 *
 * @param store weights on the device
 * @param ids at least one token, at most n_positions
 * @param layer counted from 0
 * @returns for each head a row for each query, [n_head][T][T]: what the token at that place takes from each of those up to
 *   itself, summing to 1; 0 for what it does not see
 */
export async function attentionWeights(
  gpu: Gpu,
  config: ModelConfig,
  store: ParameterStore,
  ids: Uint32Array<ArrayBuffer>,
  layer: number,
): Promise<Float32Array[][]> {
  const T = ids.length;
  const graph = attentionWeightsGraph(config, { B: 1, T, layer });
  const program = new Program(gpu, plan(graph, gpu, store.layout), store, new KernelCache(gpu));
  try {
    program.write("input_ids", ids);
    program.run();
    const weights = await program.read("weights"); // [n_head * T, T]
    return Array.from(
      { length: config.n_head },
      (_, head) =>
        Array.from({ length: T }, (_, query) => weights.subarray((head * T + query) * T).subarray(0, T)),
    );
  } finally {
    program.destroy();
  }
}
