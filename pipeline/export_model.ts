/**
 * Giving a model away in Hugging Face's form: weights byte for byte as they are stored, `config.json`, the tokenizer's
 * files, `generation_config.json` and a model card. What GPT2LMHeadModel cannot compute goes out in the same files, and config,
 * card and a warning say so. What an imported model brought in these files it takes home again.
 * Of a run that trained adapters these alone are written, in PEFT's form, or the model with them merged into it.
 */

import { basename, dirname, join } from "path";
import {
  displayPath,
  exists,
  fileError,
  readJson,
  UserError,
  VERSION,
  writeFileSynced,
  writeFolderAtomic,
} from "../common/mod.ts";
import {
  END_OF_TEXT,
  huggingFaceTokenizerFiles,
  OWN_TOKENIZER_FILE,
  type Tokenizer,
  TOKENIZER_FILES,
} from "../data/mod.ts";
import {
  ADAPTER_FILES,
  isGpt2,
  MergedModel,
  MODEL_FILES,
  type OpenModel,
  openModel,
  openModelFolder,
  parameterCount,
  parameters,
  storedName,
  type TensorToWrite,
  trainedParameterCount,
} from "../models/mod.ts";
import type { GenerationConfig } from "./config.ts";
import { GENERATION_CONFIG_FILE } from "./import_model.ts";
import { tokenizerOfModel } from "./initial_model.ts";
import { modelCard } from "./model_card.ts";
import { checkTarget, writeJson, writeWeights } from "./model_files.ts";
import { resolveRunConfig, type RunConfig } from "./run_config.ts";
import { trainingStateSchema } from "./training_state.ts";

/** How to export. */
export interface ExportOptions {
  /** Bytes of a file of weights at most; more go into several. @default no limit */
  max_shard_size?: number;
  /** Merge adapters into the model instead of writing them alone. @default false */
  merge?: boolean;
  /** Replace what stands where the folder is to be. @default false */
  overwrite?: boolean;
}

/** What is to be known of a model that is no GPT-2. */
const OWN_FORM =
  "this model is not a GPT-2 that Hugging Face's libraries can load: config.json says model_type chatgot and in what it " +
  "differs; weights and tokenizer are in the usual files, and ChatGoT reads them";

/** What was written. */
export interface ExportedModel {
  /** The new folder. */
  path: string;
  /** The folder that the weights came from. */
  model_path: string;
  /** The checkpoint's step; null for a model that belongs to no run. */
  step: number | null;
  /** Number of values that were written. */
  parameters: number;
  /** The tokenizer's kind; null for a model without one. */
  tokenizer: string | null;
  files: string[];
  warnings: string[];
}

/**
 * Exports a model.
 *
 * @param path folder of a run (its newest whole checkpoint is taken), a checkpoint or a model, absolute
 * @param to the folder to write, absolute; must be empty or not there, unless `overwrite`
 * @throws UserError when there is no model, it is broken, or the folder cannot be written; nothing half-written stays.
 */
export async function exportModel(
  path: string,
  to: string,
  options: ExportOptions = {},
): Promise<ExportedModel> {
  const { merge = false, overwrite = false, max_shard_size } = options;
  await checkTarget(to, overwrite);
  const { model, warnings } = await openModel(path);
  using open = model;
  if (merge && !(open instanceof MergedModel)) {
    throw new UserError("has no adapters to merge", {
      file: displayPath(open.path),
      hint: "leave --merge out",
    });
  }
  const asAdapters = open instanceof MergedModel && !merge;
  if (!isGpt2(open.config)) warnings.push(OWN_FORM);
  const tokenizer = await tokenizerOfModel(open);
  const run = await runConfigOf(path, open);
  const files: string[] = [];
  await writeFolderAtomic(to, async (dir) => {
    const write = async (name: string, content: Uint8Array | string) => {
      await writeFileSynced(join(dir, name), content);
      files.push(name);
    };
    for (const [name, content] of await tokenizerFiles(open, tokenizer)) await write(name, content);
    if (asAdapters) {
      for (const name of Object.values(ADAPTER_FILES)) {
        await write(name, await readBytes(join(open.path, name)));
      }
    } else {
      await writeJson(join(dir, MODEL_FILES.config), await configJson(open, tokenizer));
      await writeJson(
        join(dir, GENERATION_CONFIG_FILE),
        await generationJson(open, run?.generation, tokenizer),
      );
      files.push(MODEL_FILES.config, GENERATION_CONFIG_FILE, ...await writeModel(dir, open, max_shard_size));
    }
    await write("README.md", await cardOf(open, asAdapters, tokenizer, run, basename(to)));
  });
  return {
    path: to,
    model_path: open.path,
    step: open.step ?? null,
    parameters: asAdapters ? trainedParameterCount(open.adaptedConfig) : parameterCount(open.config),
    tokenizer: tokenizer?.kind ?? null,
    files,
    warnings,
  };
}

/** Writes the weights: as they are stored, or in float32 where adapters are merged into them. */
async function writeModel(dir: string, model: OpenModel, max_shard_size?: number): Promise<string[]> {
  const known = parameters(model.config);
  if (model instanceof MergedModel) {
    const tensors = known.map(({ name, shape }): TensorToWrite => ({
      name: storedName(model.config, name),
      dtype: "F32",
      shape,
      data: () => [model.weight(name)],
    }));
    return await writeWeights(dir, tensors, max_shard_size);
  }
  using folder = await openModelFolder(model.path);
  const tensors = known.map(({ name }) => ({ ...folder.info(name), data: () => [folder.bytes(name)] }));
  return await writeWeights(dir, tensors, max_shard_size);
}

/** The configuration of the run that a model belongs to; undefined where it belongs to none. */
async function runConfigOf(path: string, model: OpenModel): Promise<RunConfig | undefined> {
  if (model.step === undefined) return undefined;
  for (const dir of [path, dirname(dirname(model.path))]) {
    const configPath = join(dir, "config.yaml");
    if (await exists(configPath)) return await resolveRunConfig({ configPath, settled: true });
  }
  return undefined;
}

/** Folders in which a model's files may stand: its own, and for adapters that of the model that they belong to. */
function foldersOf(model: OpenModel): string[] {
  return model instanceof MergedModel ? [model.path, model.basePath] : [model.path];
}

/** `config.json` as it stands, with the ids of the token that ends texts where the model's own file names none. */
async function configJson(model: OpenModel, tokenizer: Tokenizer | undefined): Promise<unknown> {
  const config = await readFirst(model, MODEL_FILES.config) as Record<string, unknown>;
  const end = tokenizer?.special_tokens.get(END_OF_TEXT);
  if (end === undefined || config.bos_token_id != null || config.eos_token_id != null) return config;
  return { ...config, bos_token_id: end, eos_token_id: end };
}

/** The tokenizer's files: those of an imported model as they are, else made from the tokenizer. */
async function tokenizerFiles(
  model: OpenModel,
  tokenizer: Tokenizer | undefined,
): Promise<[name: string, content: Uint8Array | string][]> {
  const files: [string, Uint8Array | string][] = [];
  if (tokenizer === undefined) return files;
  if (model.step === undefined) {
    for (const dir of foldersOf(model)) {
      for (const name of [OWN_TOKENIZER_FILE, ...TOKENIZER_FILES]) {
        if (await exists(join(dir, name))) files.push([name, await readBytes(join(dir, name))]);
      }
      if (files.length > 0) return files;
    }
  }
  files.push(...Object.entries(huggingFaceTokenizerFiles(tokenizer)));
  // The reader of tokenizer.json takes byte-level BPE alone, so characters come back by ChatGoT's own file.
  if (tokenizer.kind === "char") files.push([OWN_TOKENIZER_FILE, `${JSON.stringify(tokenizer.toJSON())}\n`]);
  return files;
}

/** Settings of generation by the names of Hugging Face's GenerationConfig; an imported model keeps its own. */
async function generationJson(
  model: OpenModel,
  generation: GenerationConfig | undefined,
  tokenizer: Tokenizer | undefined,
): Promise<unknown> {
  const own = await readFirst(model, GENERATION_CONFIG_FILE);
  if (own !== undefined) return own;
  const end = tokenizer?.special_tokens.get(END_OF_TEXT);
  const ids = end === undefined ? {} : { bos_token_id: end, eos_token_id: end };
  if (generation === undefined) return ids;
  const { temperature, top_k, top_p, max_new_tokens } = generation;
  if (temperature === 0) return { ...ids, do_sample: false, max_new_tokens };
  return { ...ids, do_sample: true, temperature, top_k, top_p, max_new_tokens }; // there, too, a top_k of 0 means all
}

/** The JSON file of a name in the first of the model's folders that has it. */
async function readFirst(model: OpenModel, name: string): Promise<unknown> {
  for (const dir of foldersOf(model)) {
    if (await exists(join(dir, name))) return await readJson(join(dir, name));
  }
  return undefined;
}

async function cardOf(
  model: OpenModel,
  asAdapters: boolean,
  tokenizer: Tokenizer | undefined,
  run: RunConfig | undefined,
  name: string,
): Promise<string> {
  return modelCard({
    name,
    version: VERSION,
    config: asAdapters ? (model as MergedModel).adaptedConfig : model.config,
    dtypes: await dtypesOf(model),
    tokenizer: tokenizer === undefined
      ? undefined
      : { kind: tokenizer.kind, vocab_size: tokenizer.vocab_size },
    step: model.step,
    run,
    state: trainingStateSchema.safeParse(model.state).data,
    base: model instanceof MergedModel ? basename(model.basePath) : undefined,
  });
}

/** Dtypes that the weights are written in. */
async function dtypesOf(model: OpenModel): Promise<string[]> {
  if (model instanceof MergedModel) return ["F32"];
  using folder = await openModelFolder(model.path);
  return [...new Set(parameters(model.config).map(({ name }) => folder.info(name).dtype))];
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw fileError(error, path);
  }
}
