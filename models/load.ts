/**
 * Loading a model from where a user points: a run's folder, a checkpoint, or a Hugging Face model folder.
 *
 * What a Hugging Face model may look like is in `model_folder.ts`; its tokenizer is text's business and left out.
 */
import { join } from "path";
import { displayPath, exists, UserError } from "../common/mod.ts";
import { type Checkpoint, CHECKPOINT_FILES, readCheckpoint } from "./checkpoint.ts";
import { latestCheckpoint } from "./checkpoint_list.ts";
import type { ModelConfig } from "./config.ts";
import { isModelFolder, openModelFolder } from "./model_folder.ts";
import type { Weights } from "./parameters.ts";

/** A model with what is needed to generate text from it. */
export interface LoadedModel {
  /** The folder that the weights were read from. */
  path: string;
  /** What the model is. */
  config: ModelConfig;
  /** Its weights by parameter name. */
  weights: Weights;
  /** The tokenizer as the checkpoint holds it; undefined for a Hugging Face model. */
  tokenizer: unknown;
  /** The checkpoint's step; undefined for a Hugging Face model. */
  step: number | undefined;
  /** What the user should know: newer checkpoints that are broken. */
  warnings: string[];
}

/**
 * Loads a model.
 *
 * @param path a run's folder (its newest whole checkpoint is taken), a checkpoint's, or a Hugging Face model's (GPT2LMHeadModel
 *   or GPT2Model).
 * @throws UserError when there is none, or it is broken.
 */
export async function loadModel(path: string): Promise<LoadedModel> {
  if (!await exists(path)) {
    throw new UserError("does not exist", {
      file: displayPath(path),
      hint: "expected the folder of a run, a checkpoint or a model",
    });
  }
  if (await exists(join(path, CHECKPOINT_FILES.state))) return fromCheckpoint(await readCheckpoint(path), []);
  if (await exists(join(path, "checkpoints"))) {
    const { checkpoint, warnings } = await latestCheckpoint(path);
    if (checkpoint !== undefined) return fromCheckpoint(checkpoint, warnings);
    throw new UserError(["has no whole checkpoint", ...warnings].join("; "), { file: displayPath(path) });
  }
  if (await isModelFolder(path)) {
    using folder = await openModelFolder(path);
    const { config } = folder;
    return { path, config, weights: folder.weights(), tokenizer: undefined, step: undefined, warnings: [] };
  }
  throw new UserError("holds no model", {
    file: displayPath(path),
    hint: "expected the folder of a run, a checkpoint, or one with config.json and model.safetensors",
  });
}

function fromCheckpoint(checkpoint: Checkpoint, warnings: string[]): LoadedModel {
  using open = checkpoint;
  const { path, config, tokenizer, step } = open;
  return { path, config, weights: open.weights(), tokenizer, step, warnings };
}
