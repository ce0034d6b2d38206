/**
 * What a set of reference vectors says: its model, its weights and its settings. The form is described in
 * `tests/reference/README.md`. There are two kinds, told apart by their file of settings: `meta.json` for one batch looked
 * at closely, `losses.json` for the losses of many steps. Running a model against a set is in `reference_check.ts`.
 */

import { z } from "zod";
import { UserError, validate } from "../common/mod.ts";
import {
  checkShapes,
  fromHuggingFaceConfig,
  type ModelConfig,
  parameters,
  type SafetensorsFile,
  type TrainableOptions,
  type Weights,
} from "../models/mod.ts";
import type { ReferenceFiles } from "./reference_files.ts";

const size = z.int().min(1);
const numbers = z.array(z.number());
const tolerance = z.number().positive();

const optimizer = {
  adamw: z.looseObject({
    lr: z.number().positive(),
    betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]),
    eps: z.number().positive(),
    weight_decay: z.number().min(0),
    decay_on: z.string().optional(),
  }),
  clip: z.looseObject({ max_norm: z.number().min(0).nullish() }).nullish(),
};

/** What is read of `meta.json`; tolerances left out are those of the README. */
export const metaSchema = z.looseObject({
  B: size,
  T: size,
  ...optimizer,
  losses_before_step_1_to_5_then_after: numbers.optional(),
  grad_norm_before_clip_at_step_1_to_5: numbers.optional(),
  tolerances_max_abs: z.looseObject({
    logits: tolerance.default(2e-5),
    loss: tolerance.default(2e-6),
    grads: tolerance.default(2e-6),
    params_after_1: tolerance.default(2e-5),
    params_after_5: tolerance.default(3e-5),
    key_bias_after_steps: tolerance.default(5e-3),
    losses_and_norms: tolerance.default(2e-5),
  }).prefault({}),
});

/** What is read of `losses.json`. */
export const lossesSchema = z.looseObject({
  B: size,
  T: size,
  steps: size,
  data_order: z.string(),
  ...optimizer,
  losses_float64: numbers,
  tolerances_max_abs: z.looseObject({ loss: tolerance.default(1e-4) }).prefault({}),
});

/** The settings of a set, whichever kind. */
type Settings = z.output<typeof metaSchema> | z.output<typeof lossesSchema>;

/** A set's model, ready to be put on the device. */
export interface ReferenceModel {
  config: ModelConfig;
  weights: Weights;
  options: TrainableOptions;
  learning_rate: number;
}

/**
 * Reads the model of a set.
 *
 * @param settingsFile the file that the settings stand in, for messages
 * @throws UserError when a file is missing or asks for what the engine does not compute.
 */
export async function readReferenceModel(
  set: ReferenceFiles,
  settings: Settings,
  settingsFile: string,
): Promise<ReferenceModel> {
  const place = set.place("config.json");
  const config = {
    ...fromHuggingFaceConfig(await set.json("config.json"), place),
    embd_pdrop: 0, // the vectors were made without dropout
    resid_pdrop: 0,
    attn_pdrop: 0,
  };
  if (settings.T > config.n_positions) {
    throw new UserError(`T ${settings.T} is more than n_positions ${config.n_positions} of config.json`, {
      file: set.place(settingsFile),
    });
  }
  const { lr, betas: [beta1, beta2], eps, weight_decay, decay_on } = settings.adamw;
  if (weight_decay > 0 && decay_on !== undefined && !/\b2\b.*dim|\b2-?d\b|matri/i.test(decay_on)) {
    throw new UserError(`adamw.decay_on: "${decay_on}" is not what the engine does`, {
      file: set.place(settingsFile),
      hint: "only tensors with 2 dimensions decay",
    });
  }
  return {
    config,
    weights: readParameters(set, "weights.safetensors", config),
    learning_rate: lr,
    options: {
      batch_size: settings.B,
      max_seq_length: settings.T,
      accumulate_grad_batches: 1,
      beta1,
      beta2,
      epsilon: eps,
      weight_decay,
      grad_clip: settings.clip?.max_norm ?? 0,
      seed: 0,
    },
  };
}

/** One tensor for each parameter, with or without Hugging Face's prefix `transformer.`. Throws `UserError` for other shapes. */
export function readParameters(set: ReferenceFiles, name: string, config: ModelConfig): Weights {
  using file = set.safetensors(name);
  const prefix = file.tensors.has("transformer.wte.weight") ? "transformer." : "";
  checkShapes(file, config, prefix);
  return new Map(
    parameters(config).map(({ name, shape }) => [name, { shape, data: file.readFloat32(prefix + name) }]),
  );
}

/** Token ids of a tensor, each checked against the vocabulary. */
export function readTokens(
  file: SafetensorsFile,
  name: string,
  config: ModelConfig,
): Uint32Array<ArrayBuffer> {
  const ids = file.readInt32(name);
  const wrong = ids.find((id) => id < 0 || id >= config.vocab_size);
  if (wrong !== undefined) {
    throw new UserError(`${name} holds ${wrong}, which is no token of a vocabulary of ${config.vocab_size}`, {
      file: file.name,
    });
  }
  return new Uint32Array(ids);
}

/** Validates `meta.json` or `losses.json`. */
export async function readSettings<S extends z.ZodType>(
  set: ReferenceFiles,
  file: string,
  schema: S,
): Promise<z.output<S>> {
  return validate(schema, await set.json(file), { file: set.place(file) });
}
