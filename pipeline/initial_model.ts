/**
 * The model that a fine-tuning begins with (`training.init_from`): its configuration, which goes under the run's, its
 * weights, and its tokenizer, with which the text must be cut.
 */

import { createHash } from "crypto";
import { join } from "path";
import { displayPath, UserError, userPath, type YamlFile } from "../common/mod.ts";
import { type Tokenizer, tokenizerFromJSON, tokenizerInFolder } from "../data/mod.ts";
import {
  type AdapterBase,
  MergedModel,
  MODEL_FILES,
  type ModelConfig,
  type OpenModel,
  openModel,
  openModelFolder,
  parameters,
  weightsDigest,
} from "../models/mod.ts";

/** A model that training begins with. Its weights are open until `model` is closed. */
export interface InitialModel {
  model: OpenModel;
  /** Undefined where the model has none that can be read. */
  tokenizer: Tokenizer | undefined;
  /** What the user should know. */
  warnings: string[];
}

/**
 * Opens the model that training begins with.
 *
 * @param path as the user gave it: folder of a run, a checkpoint or a model
 * @throws UserError when there is none, or it is broken.
 */
export async function openInitialModel(path: string): Promise<InitialModel> {
  const { model, warnings } = await openModel(userPath(path));
  try {
    return { model, tokenizer: await tokenizerOfModel(model), warnings };
  } catch (error) {
    model.close();
    throw error;
  }
}

/**
 * The tokenizer of a model: the value in its checkpoint, or the files in its folder or, for adapters without, in that of
 * the model that they belong to.
 */
export async function tokenizerOfModel(model: OpenModel): Promise<Tokenizer | undefined> {
  const { path, tokenizer } = model;
  if (tokenizer !== undefined && tokenizer !== null) return tokenizerFromJSON(tokenizer, displayPath(path));
  const own = await tokenizerInFolder(path);
  return own ?? (model instanceof MergedModel ? await tokenizerInFolder(model.basePath) : undefined);
}

/**
 * The model that adapters are to be trained for.
 *
 * @throws UserError when it has adapters of its own, which are not part of its weights.
 */
export async function adapterBase({ model }: InitialModel): Promise<AdapterBase> {
  if (model instanceof MergedModel) {
    throw new UserError("has adapters of its own, so new ones cannot be trained beside it", {
      file: displayPath(model.path),
      hint: "merge them first: chatgot export --merge --model-path … --to …, and begin with the result",
    });
  }
  using folder = await openModelFolder(model.path);
  return { path: folder.path, sha256: weightsDigest(folder) };
}

/**
 * Digest of a model's weights, shape and tokenizer.
 *
 * @param path as the user gave it: folder of a run, a checkpoint or a model
 * @throws UserError when there is none, or it is broken.
 */
export async function modelDigest(path: string): Promise<string> {
  const { model, tokenizer } = await openInitialModel(path);
  using open = model;
  const hash = createHash("sha256").update(JSON.stringify([open.config, tokenizer?.toJSON() ?? null]));
  for (const { name } of parameters(open.config)) hash.update(open.weight(name));
  return hash.digest("hex");
}

/** Fields that a model's weights settle: another value would be another model. */
const SETTLED = [
  "n_layer",
  "n_head",
  "n_kv_head",
  "n_embd",
  "n_inner",
  "n_positions",
  "vocab_size",
  "layer_norm_epsilon",
  "position_type",
  "rope_theta",
  "norm_type",
  "qk_norm",
  "mlp_type",
  "tie_word_embeddings",
  "bias",
] as const;

/** The configuration of the model at `path` as a file with a section `model`, to be laid under the others. */
export async function initialModelLayer(path: string): Promise<YamlFile & { value: { model: ModelConfig } }> {
  const { model } = await openModel(userPath(path));
  using open = model;
  return {
    file: displayPath(join(open.path, MODEL_FILES.config)),
    value: { model: open.config },
    lineOf: () => undefined,
  };
}

/**
 * What a configuration says of the model otherwise than the model that training begins with; undefined when they agree.
 * Dropout may differ, for it belongs to training, and so may the kind of attention, which has no weights of its own.
 */
export function conflict(
  section: Record<string, unknown>,
  initial: YamlFile & { value: { model: ModelConfig } },
): { key: string; error: UserError } | undefined {
  for (const key of SETTLED) {
    const [given, found] = [section[key], initial.value.model[key]];
    if (given === undefined || given === found) continue;
    const error = new UserError(
      `model.${key} is ${JSON.stringify(given)}, ${initial.file} says ${found ?? "none"}`,
      {
        hint: `leave model.${key} out, or begin with another model than training.init_from names`,
      },
    );
    return { key, error };
  }
  return undefined;
}
