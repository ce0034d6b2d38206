/**
 * Loading a model from where a user points: a run's folder, a checkpoint, or a Hugging Face model folder.
 *
 * Of a Hugging Face model this reads `config.json` and `model.safetensors`. Left out: pickled weights
 * (`pytorch_model.bin`), weights in several files, and its tokenizer.
 */
import { join } from "path";
import { displayPath, exists, readJson, UserError } from "../common/mod.ts";
import { type Checkpoint, CHECKPOINT_FILES, checkShapes, readCheckpoint } from "./checkpoint.ts";
import { latestCheckpoint } from "./checkpoint_list.ts";
import type { ModelConfig } from "./config.ts";
import { fromHuggingFaceConfig } from "./hugging_face_config.ts";
import { parameters, type Weights } from "./parameters.ts";
import { openSafetensors } from "./safetensors.ts";

/** A model with what is needed to generate text from it. */
export interface LoadedModel {
  /** The folder that the weights were read from. */
  path: string;
  config: ModelConfig;
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
 * @param path a run's folder (its newest whole checkpoint is taken), a checkpoint's, or one with `config.json` and
 *   `model.safetensors` of a GPT2LMHeadModel or GPT2Model.
 * @throws UserError when there is none, or it is broken.
 */
export async function loadModel(path: string): Promise<LoadedModel> {
  const { state, config, model } = CHECKPOINT_FILES;
  if (!await exists(path)) {
    throw new UserError("does not exist", {
      file: displayPath(path),
      hint: "expected the folder of a run, a checkpoint or a model",
    });
  }
  if (await exists(join(path, state))) return fromCheckpoint(await readCheckpoint(path), []);
  if (await exists(join(path, "checkpoints"))) {
    const { checkpoint, warnings } = await latestCheckpoint(path);
    if (checkpoint !== undefined) return fromCheckpoint(checkpoint, warnings);
    throw new UserError(["has no whole checkpoint", ...warnings].join("; "), { file: displayPath(path) });
  }
  if (await exists(join(path, config)) && await exists(join(path, model))) return await fromHuggingFace(path);
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

/** Hugging Face's files name the parameters with or without `transformer.`; masks and the tied head may stand beside them. */
async function fromHuggingFace(path: string): Promise<LoadedModel> {
  const configPath = join(path, CHECKPOINT_FILES.config);
  const config = fromHuggingFaceConfig(await readJson(configPath), configPath);
  using file = openSafetensors(join(path, CHECKPOINT_FILES.model));
  const prefix = file.tensors.has("transformer.wte.weight") ? "transformer." : "";
  checkShapes(file, config, prefix);
  const weights: Weights = new Map(
    parameters(config).map(({ name, shape }) => [name, { shape, data: file.readFloat32(prefix + name) }]),
  );
  return { path, config, weights, tokenizer: undefined, step: undefined, warnings: [] };
}
