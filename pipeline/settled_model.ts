/** A run's model with nothing open: the vocabulary's size comes from the corpus where the config does not give it. */

import { prepare } from "../data/mod.ts";
import { type ModelConfig, modelConfig } from "../models/mod.ts";
import type { RunConfig } from "./run_config.ts";

/**
 * The model that a run's configuration describes; prepares the corpus when its tokenizer must be known.
 *
 * @throws UserError when the corpus is missing or the vocabulary's size does not fit it.
 */
export async function settledModel(config: RunConfig): Promise<ModelConfig> {
  if (config.model.vocab_size !== undefined) return modelConfig(config.model);
  const { tokenizer } = await prepare(config.data);
  return modelConfig(config.model, tokenizer.vocab_size);
}
