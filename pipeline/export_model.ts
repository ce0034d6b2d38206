/**
 * Giving a model away in Hugging Face's form: weights byte for byte as they are stored, `config.json`, the tokenizer's
 * files, `generation_config.json` and a model card. What an imported model brought in these files it takes home again.
 */

import { basename, dirname, join } from "path";
import {
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
  type Checkpoint,
  MODEL_FILES,
  ModelFolder,
  openModel,
  openModelFolder,
  parameterCount,
  parameters,
} from "../models/mod.ts";
import type { GenerationConfig } from "./config.ts";
import { GENERATION_CONFIG_FILE } from "./import_model.ts";
import { tokenizerOfModel } from "./initial_model.ts";
import { modelCard } from "./model_card.ts";
import { checkTarget, writeJson, writeWeights } from "./model_files.ts";
import { resolveRunConfig, type RunConfig } from "./run_config.ts";
import { type TrainingState, trainingStateSchema } from "./training_state.ts";

/** How to export. */
export interface ExportOptions {
  /** Bytes of a file of weights at most; more go into several. @default no limit */
  max_shard_size?: number;
  /** Replace what stands where the folder is to be. @default false */
  overwrite?: boolean;
}

/** What was written. */
export interface ExportedModel {
  /** The new folder. */
  path: string;
  /** The folder that the weights came from. */
  model_path: string;
  /** The checkpoint's step; null for a model that belongs to no run. */
  step: number | null;
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
  await checkTarget(to, options.overwrite === true);
  const { place, warnings } = await findPlace(path);
  using folder = await openModelFolder(place.path);
  const tokenizer = await tokenizerOfModel({ path: place.path, tokenizer: place.checkpoint?.tokenizer });
  const run = await runConfigOf(path, place);
  const files: string[] = [];
  await writeFolderAtomic(to, async (dir) => {
    const write = async (name: string, content: Uint8Array | string) => {
      await writeFileSynced(join(dir, name), content);
      files.push(name);
    };
    const json = async (name: string, value: unknown) => {
      await writeJson(join(dir, name), value);
      files.push(name);
    };
    await json(MODEL_FILES.config, await configJson(place, tokenizer));
    for (const [name, content] of await tokenizerFiles(place, tokenizer)) await write(name, content);
    await json(GENERATION_CONFIG_FILE, await generationJson(place, run?.generation, tokenizer));
    files.push(...await writeWeights(dir, tensorsOf(folder), options.max_shard_size));
    await write("README.md", cardOf(folder, place, tokenizer, run, basename(to)));
  });
  return {
    path: to,
    model_path: place.path,
    step: place.checkpoint?.step ?? null,
    parameters: parameterCount(folder.config),
    tokenizer: tokenizer?.kind ?? null,
    files,
    warnings,
  };
}

/** Where a model's files are, and what a checkpoint says beside them. */
interface ModelPlace {
  path: string;
  checkpoint: Pick<Checkpoint, "step" | "tokenizer" | "state"> | undefined;
}

/** Verifies a model and closes it again. */
async function findPlace(path: string): Promise<{ place: ModelPlace; warnings: string[] }> {
  const { model, warnings } = await openModel(path);
  using open = model;
  const checkpoint = open instanceof ModelFolder
    ? undefined
    : { step: open.step, tokenizer: open.tokenizer, state: open.state };
  return { place: { path: open.path, checkpoint }, warnings };
}

function tensorsOf(folder: ModelFolder) {
  return parameters(folder.config).map(({ name }) => ({
    ...folder.info(name),
    data: () => [folder.bytes(name)],
  }));
}

/** The configuration of the run that a model belongs to; undefined where it belongs to none. */
async function runConfigOf(path: string, place: ModelPlace): Promise<RunConfig | undefined> {
  if (place.checkpoint === undefined) return undefined;
  for (const dir of [path, dirname(dirname(place.path))]) {
    const configPath = join(dir, "config.yaml");
    if (await exists(configPath)) return await resolveRunConfig({ configPath, settled: true });
  }
  return undefined;
}

/** `config.json` as it stands, with the ids of the token that ends texts where the model's own file names none. */
async function configJson({ path }: ModelPlace, tokenizer: Tokenizer | undefined): Promise<unknown> {
  const config = await readJson(join(path, MODEL_FILES.config)) as Record<string, unknown>;
  const end = tokenizer?.special_tokens.get(END_OF_TEXT);
  if (end === undefined || config.bos_token_id != null || config.eos_token_id != null) return config;
  return { ...config, bos_token_id: end, eos_token_id: end };
}

/** The tokenizer's files: those of an imported model as they are, else made from the tokenizer. */
async function tokenizerFiles(
  { path, checkpoint }: ModelPlace,
  tokenizer: Tokenizer | undefined,
): Promise<[name: string, content: Uint8Array | string][]> {
  const files: [string, Uint8Array | string][] = [];
  if (checkpoint === undefined) {
    for (const name of [OWN_TOKENIZER_FILE, ...TOKENIZER_FILES]) {
      if (await exists(join(path, name))) files.push([name, await readBytes(join(path, name))]);
    }
    if (files.length > 0 || tokenizer === undefined) return files;
  }
  files.push(...Object.entries(huggingFaceTokenizerFiles(tokenizer!)));
  // The reader of tokenizer.json takes byte-level BPE alone, so characters come back by ChatGoT's own file.
  if (tokenizer!.kind === "char") {
    files.push([OWN_TOKENIZER_FILE, `${JSON.stringify(tokenizer!.toJSON())}\n`]);
  }
  return files;
}

/** Settings of generation by the names of Hugging Face's GenerationConfig; an imported model keeps its own. */
async function generationJson(
  { path }: ModelPlace,
  generation: GenerationConfig | undefined,
  tokenizer: Tokenizer | undefined,
): Promise<unknown> {
  const own = join(path, GENERATION_CONFIG_FILE);
  if (await exists(own)) return await readJson(own);
  const end = tokenizer?.special_tokens.get(END_OF_TEXT);
  const ids = end === undefined ? {} : { bos_token_id: end, eos_token_id: end };
  if (generation === undefined) return ids;
  const { temperature, top_k, top_p, max_new_tokens } = generation;
  if (temperature === 0) return { ...ids, do_sample: false, max_new_tokens };
  return { ...ids, do_sample: true, temperature, top_k, top_p, max_new_tokens }; // there, too, a top_k of 0 means all
}

function cardOf(
  folder: ModelFolder,
  { checkpoint }: ModelPlace,
  tokenizer: Tokenizer | undefined,
  run: RunConfig | undefined,
  name: string,
): string {
  const state: TrainingState | undefined = checkpoint === undefined
    ? undefined
    : trainingStateSchema.safeParse(checkpoint.state).data;
  return modelCard({
    name,
    version: VERSION,
    config: folder.config,
    dtypes: [...new Set(parameters(folder.config).map((p) => folder.info(p.name).dtype))],
    tokenizer: tokenizer === undefined
      ? undefined
      : { kind: tokenizer.kind, vocab_size: tokenizer.vocab_size },
    step: checkpoint?.step,
    run,
    state,
  });
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw fileError(error, path);
  }
}

const UNITS: Record<string, number> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/**
 * Reads a size as Hugging Face writes it: `500MB`, `5GB`, `2GiB`, or a number of bytes.
 *
 * @throws UserError when it is none.
 *
 * @example
 * ```ts
 * import { parseSize } from "./export_model.ts";
 * parseSize("1.5KB"); // 1500
 * ```
 */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(digits) * (UNITS[unit?.toUpperCase() ?? ""] ?? NaN));
  if (bytes >= 1) return bytes;
  throw new UserError(`expected a size such as 500MB or 5GB, got ${JSON.stringify(text)}`);
}
