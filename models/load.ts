/**
 * Loading a model from where a user points: a run's folder, a checkpoint, or a Hugging Face model folder.
 *
 * What a Hugging Face model may look like is in `model_folder.ts`; its tokenizer is text's business and left out.
 */
import { join } from "path";
import { displayPath, exists, UserError } from "../common/mod.ts";
import { isAdapterFolder, MergedModel, openAdapter } from "./adapter.ts";
import { type Checkpoint, CHECKPOINT_FILES, readCheckpoint } from "./checkpoint.ts";
import { latestCheckpoint } from "./checkpoint_list.ts";
import type { ModelConfig } from "./config.ts";
import { isModelFolder, type ModelFolder, openModelFolder } from "./model_folder.ts";
import type { Weights } from "./parameters.ts";

/** A model with what is needed to generate text from it. */
export interface LoadedModel {
  /** The folder that the weights were read from. */
  path: string;
  /** What the model is. */
  config: ModelConfig;
  /** Its weights by parameter name. */
  weights: Weights;
  /** The tokenizer as the checkpoint holds it; undefined for a Hugging Face model, whose files hold it. */
  tokenizer: unknown;
  /** The checkpoint's step; undefined for a Hugging Face model. */
  step: number | undefined;
  /** What the user should know: newer checkpoints that are broken. */
  warnings: string[];
}

/** A model that is open for reading. */
export type OpenModel = Checkpoint | ModelFolder | MergedModel;

/**
 * Opens a model, to read its parameters one by one. Where adapters were trained they are merged on the way.
 *
 * @param path a run's folder (its newest whole checkpoint is taken), a checkpoint's, or a Hugging Face model's (GPT2LMHeadModel
 *   or GPT2Model) or PEFT's with adapters.
 * @returns the model, and one line for each newer checkpoint that is broken.
 * @throws UserError when there is none, or it is broken.
 */
export async function openModel(
  path: string,
): Promise<{ model: OpenModel; warnings: string[] }> {
  if (!await exists(path)) {
    throw new UserError("does not exist", {
      file: displayPath(path),
      hint: "expected the folder of a run, a checkpoint or a model",
    });
  }
  if (await exists(join(path, CHECKPOINT_FILES.state))) {
    return { model: merged(await readCheckpoint(path)), warnings: [] };
  }
  if (await exists(join(path, "checkpoints"))) {
    const { checkpoint, warnings } = await latestCheckpoint(path);
    if (checkpoint !== undefined) return { model: merged(checkpoint), warnings };
    throw new UserError(["has no whole checkpoint", ...warnings].join("; "), { file: displayPath(path) });
  }
  if (await isAdapterFolder(path)) {
    const adapter = await openAdapter(path);
    return { model: new MergedModel(adapter, adapter.base.path), warnings: [] };
  }
  if (await isModelFolder(path)) return { model: await openModelFolder(path), warnings: [] };
  throw new UserError("holds no model", {
    file: displayPath(path),
    hint: "expected the folder of a run, a checkpoint, or one with config.json and model.safetensors",
  });
}

function merged(checkpoint: Checkpoint): OpenModel {
  const { base } = checkpoint;
  return base === undefined ? checkpoint : new MergedModel(checkpoint, base.path);
}

/**
 * Loads a model into memory.
 *
 * @param path as for {@link openModel}
 * @throws UserError as {@link openModel}.
 */
export async function loadModel(path: string): Promise<LoadedModel> {
  const { model, warnings } = await openModel(path);
  using open = model;
  const { path: folder, config, tokenizer, step } = open;
  return { path: folder, config, weights: open.weights(), tokenizer, step, warnings };
}
