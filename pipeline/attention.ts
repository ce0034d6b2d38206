/** Which tokens of a text a model looks at. */

import { UserError } from "../common/mod.ts";
import type { Tokenizer } from "../data/mod.ts";
import type { Gpu, ParameterStore } from "../gpu/mod.ts";
import { attentionWeights, type ModelConfig } from "../models/mod.ts";

/** What each token of a text takes from those before it, in one layer; `attentionChart` draws it. */
export interface Attention {
  layer: number;
  /** The text's tokens, as texts. */
  tokens: string[];
  /**
   * The heads' weights, [n_head][T][T]: a row for each token, with what it takes from each of those up to itself, summing to 1;
   * 0 for what it does not see.
   */
  heads: Float32Array[][];
}

/** A model on the device. */
export interface ModelOnDevice {
  gpu: Gpu;
  config: ModelConfig;
  store: ParameterStore;
  tokenizer: Tokenizer;
}

/**
 * Looks at the attention of a model reading a text.
 *
 * @param layer counted from 0
 * @throws UserError when the text is empty or longer than the model's context, or there is no such layer
 */
export async function attentionOver(
  { gpu, config, store, tokenizer }: ModelOnDevice,
  text: string,
  layer: number,
): Promise<Attention> {
  const { n_layer, n_positions } = config;
  if (!Number.isInteger(layer) || layer < 0 || layer >= n_layer) {
    throw new UserError(`there is no layer ${layer}`, { hint: `the model has 0 to ${n_layer - 1}` });
  }
  const ids = Uint32Array.from(tokenizer.encode(text));
  if (ids.length === 0 || ids.length > n_positions) {
    throw new UserError(`the text has ${ids.length} tokens`, {
      hint: `give one of 1 to ${n_positions}, the model's context`,
    });
  }
  const tokens = Array.from(ids, (id) => tokenizer.decode([id]));
  return { layer, tokens, heads: await attentionWeights(gpu, config, store, ids, layer) };
}
