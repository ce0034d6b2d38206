/**
 * A run's model with nothing open: the vocabulary's size comes from the corpus where the config does not give it, the
 * adapters from the section `training`.
 */

import { prepare } from "../data/mod.ts";
import { checkAdapters, type ModelConfig, modelConfig } from "../models/mod.ts";
import type { RunConfig } from "./run_config.ts";

/**
 * The model that a run's configuration describes, with the adapters that it trains.
 *
 * @param tokenizerSize number of tokens of the data's tokenizer
 * @throws UserError when the vocabulary's size does not fit it, or is not known; when adapters are for layers that there are not.
 */
export function modelOf({ model, training: { lora } }: RunConfig, tokenizerSize?: number): ModelConfig {
  const config = { ...modelConfig(model, tokenizerSize), ...(lora === undefined ? {} : { lora }) };
  checkAdapters(config);
  return config;
}

/**
 * The model that a run's configuration describes; prepares the corpus when its tokenizer must be known.
 *
 * @throws UserError when the corpus is missing or the vocabulary's size does not fit it.
 */
export async function settledModel(config: RunConfig): Promise<ModelConfig> {
  if (config.model.vocab_size !== undefined) return modelOf(config);
  const { tokenizer } = await prepare(config.data);
  return modelOf(config, tokenizer.vocab_size);
}
