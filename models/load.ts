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
import { isModelFolder, ModelFolder, openModelFolder } from "./model_folder.ts";
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

/** Where a model's files are, and what a checkpoint says beside them. */
export interface ModelPlace {
  /** Folder with the model's files. */
  path: string;
  /** Undefined for a Hugging Face model. */
  checkpoint: Pick<Checkpoint, "step" | "tokenizer" | "state"> | undefined;
  /** What the user should know: newer checkpoints that are broken. */
  warnings: string[];
}

/**
 * Finds a model and verifies it, without taking its weights into memory; they are then to be had from `openModelFolder`.
 *
 * @param path as for {@link loadModel}
 * @throws UserError when there is none, or it is broken.
 */
export async function findModelFolder(path: string): Promise<ModelPlace> {
  const { source, warnings } = await openSource(path);
  using _open = source;
  if (source instanceof ModelFolder) return { path, checkpoint: undefined, warnings };
  const { step, tokenizer, state } = source;
  return { path: source.path, checkpoint: { step, tokenizer, state }, warnings };
}

/**
 * Loads a model.
 *
 * @param path a run's folder (its newest whole checkpoint is taken), a checkpoint's, or a Hugging Face model's (GPT2LMHeadModel
 *   or GPT2Model).
 * @throws UserError when there is none, or it is broken.
 */
export async function loadModel(path: string): Promise<LoadedModel> {
  const { source, warnings } = await openSource(path);
  using open = source;
  const { path: folder, config } = open;
  const own = open instanceof ModelFolder ? undefined : open;
  return {
    path: folder,
    config,
    weights: open.weights(),
    tokenizer: own?.tokenizer,
    step: own?.step,
    warnings,
  };
}

async function openSource(path: string): Promise<{ source: Checkpoint | ModelFolder; warnings: string[] }> {
  if (!await exists(path)) {
    throw new UserError("does not exist", {
      file: displayPath(path),
      hint: "expected the folder of a run, a checkpoint or a model",
    });
  }
  if (await exists(join(path, CHECKPOINT_FILES.state))) {
    return { source: await readCheckpoint(path), warnings: [] };
  }
  if (await exists(join(path, "checkpoints"))) {
    const { checkpoint, warnings } = await latestCheckpoint(path);
    if (checkpoint !== undefined) return { source: checkpoint, warnings };
    throw new UserError(["has no whole checkpoint", ...warnings].join("; "), { file: displayPath(path) });
  }
  if (await isModelFolder(path)) return { source: await openModelFolder(path), warnings: [] };
  throw new UserError("holds no model", {
    file: displayPath(path),
    hint: "expected the folder of a run, a checkpoint, or one with config.json and model.safetensors",
  });
}
