/**
 * A model folder in Hugging Face's form, opened for reading: `config.json` and the weights in `model.safetensors`, in
 * shards with `model.safetensors.index.json`, or in `weights.safetensors` (as reference vectors have it). Tensors go by
 * the names of {@link parameters}, whether or not the files say `transformer.` before them, and come as they are stored.
 *
 * The folder is taken for a stranger's: names, shapes and dtypes are checked when it is opened, tensors are read one by
 * one when asked for. What is no parameter is left out and named. Left out as well: pickled weights.
 *
 * Source of the form of shards: Hugging Face's documentation of `save_pretrained` ("Sharded checkpoints").
 */
import { join } from "path";
import { z } from "zod";
import { displayPath, exists, readJson, UserError, validate } from "../common/mod.ts";
import type { ModelConfig } from "./config.ts";
import { fromHuggingFaceConfig } from "./hugging_face_config.ts";
import { fileName, type Parameter, parameters, TRANSFORMER_PREFIX, type Weights } from "./parameters.ts";
import { openSafetensors, type SafetensorsFile } from "./safetensors.ts";
import type { Dtype, TensorInfo } from "./safetensors_header.ts";

/** The files of a model folder, by what they hold. */
export const MODEL_FILES = {
  config: "config.json",
  weights: "model.safetensors",
  index: "model.safetensors.index.json",
} as const;

/** Names under which all weights may stand in one file. */
const SINGLE_FILES = [MODEL_FILES.weights, "weights.safetensors"];

/** Dtypes that weights may be stored in. */
const FLOATS: readonly Dtype[] = ["F32", "F16", "BF16", "F64"];

/** A tensor of the files that is no parameter. */
export interface LeftOut {
  name: string;
  /** What it is, such as `attention mask`. */
  reason: string;
}

/** An open model folder. Closed by `close` or `using`. */
export class ModelFolder implements Disposable {
  /** A checkpoint has a step, a state, and its tokenizer as a value; this has none of them. */
  readonly step = undefined;
  readonly state = undefined;
  readonly tokenizer = undefined;

  constructor(
    /** The folder. */
    readonly path: string,
    readonly config: ModelConfig,
    /** What stands before the parameters' names in the files: `transformer.` or nothing. */
    readonly prefix: string,
    /** Tensors of the files that are no parameters, by name. */
    readonly leftOut: LeftOut[],
    readonly files: readonly SafetensorsFile[],
    private readonly places: ReadonlyMap<string, SafetensorsFile>,
  ) {}

  /** What the files say of a parameter: its name there, its dtype and shape. */
  info(name: string): TensorInfo {
    return this.#file(name).info(fileName(this.prefix, name));
  }

  /** A parameter's bytes as they are stored. */
  bytes(name: string): Uint8Array<ArrayBuffer> {
    return this.#file(name).readBytes(fileName(this.prefix, name));
  }

  /** A parameter widened to float32, row-major in the shape that `parameters(config)` says. */
  weight(name: string): Float32Array<ArrayBuffer> {
    return this.#file(name).readFloat32(fileName(this.prefix, name));
  }

  /** All parameters, in memory. */
  weights(): Weights {
    return new Map(
      parameters(this.config).map(({ name, shape }) => [name, { shape, data: this.weight(name) }]),
    );
  }

  #file(name: string): SafetensorsFile {
    return this.places.get(fileName(this.prefix, name))!;
  }

  close(): void {
    for (const file of this.files) file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Whether a folder has the files of a model, be they sound or not. */
export async function isModelFolder(path: string): Promise<boolean> {
  if (!await exists(join(path, MODEL_FILES.config))) return false;
  for (const name of [...SINGLE_FILES, MODEL_FILES.index]) if (await exists(join(path, name))) return true;
  return false;
}

/**
 * Opens a model folder and checks it: configuration, headers, index, shape and dtype of every parameter, and that a head
 * which stands beside `wte` is the same.
 *
 * @throws UserError that names the file and the tensor, what was expected and what was found.
 */
export async function openModelFolder(path: string): Promise<ModelFolder> {
  const configPath = join(path, MODEL_FILES.config);
  const config = fromHuggingFaceConfig(await readJson(configPath), configPath);
  const { files, places } = await openWeights(path);
  try {
    const prefix = places.has(`${TRANSFORMER_PREFIX}wte.weight`) ? TRANSFORMER_PREFIX : "";
    const known = parameters(config);
    for (const parameter of known) checkParameter(parameter, prefix, places, displayPath(path));
    const isKnown = new Set(known.map(({ name }) => fileName(prefix, name)));
    const leftOut = [...places.keys()].filter((name) => !isKnown.has(name))
      .map((name) => ({ name, reason: reasonOf(name, prefix, config, places) }));
    return new ModelFolder(path, config, prefix, leftOut, files, places);
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

interface OpenFiles {
  files: SafetensorsFile[];
  /** The file of each tensor, by the tensor's name there. */
  places: Map<string, SafetensorsFile>;
}

async function openWeights(path: string): Promise<OpenFiles> {
  for (const name of SINGLE_FILES) {
    if (!await exists(join(path, name))) continue;
    const file = openSafetensors(join(path, name));
    return { files: [file], places: new Map([...file.tensors.keys()].map((tensor) => [tensor, file])) };
  }
  const index = join(path, MODEL_FILES.index);
  if (await exists(index)) return openShards(path, displayPath(index), await readJson(index));
  const pickled = await exists(join(path, "pytorch_model.bin"));
  throw new UserError(
    pickled
      ? "holds its weights only as pytorch_model.bin, which can run code when read"
      : "holds no weights",
    {
      file: displayPath(path),
      hint: pickled
        ? "save the model as safetensors with the library that wrote it"
        : `expected ${MODEL_FILES.weights}, or shards with ${MODEL_FILES.index}`,
    },
  );
}

const indexSchema = z.looseObject({
  weight_map: z.record(
    z.string(),
    z.string().regex(/^[^/\\]+\.safetensors$/, "the name of a .safetensors file"),
  ),
});

function openShards(path: string, index: string, json: unknown): OpenFiles {
  const { weight_map } = validate(indexSchema, json, { file: index });
  const shards = new Map<string, SafetensorsFile>();
  try {
    const places = new Map<string, SafetensorsFile>();
    for (const [tensor, name] of Object.entries(weight_map)) {
      const shard = shards.get(name) ?? openSafetensors(join(path, name));
      shards.set(name, shard);
      if (!shard.tensors.has(tensor)) {
        throw new UserError(`says that tensor ${tensor} stands in ${name}, which has no such tensor`, {
          file: index,
          hint: "index and shards are not of one model; copy all of them again",
        });
      }
      places.set(tensor, shard);
    }
    for (const [name, shard] of shards) checkListed(name, shard, places, index);
    return { files: [...shards.values()], places };
  } catch (error) {
    for (const shard of shards.values()) shard.close();
    throw error;
  }
}

/** Every tensor of a shard must be listed, and for that shard. */
function checkListed(
  name: string,
  shard: SafetensorsFile,
  places: Map<string, SafetensorsFile>,
  index: string,
): void {
  for (const tensor of shard.tensors.keys()) {
    const listed = places.get(tensor);
    if (listed === shard) continue;
    throw new UserError(
      listed === undefined
        ? `has no entry for tensor ${tensor}, which stands in ${name}`
        : `lists tensor ${tensor} for another file than ${name}, where it stands too`,
      { file: index, hint: "index and shards are not of one model; copy all of them again" },
    );
  }
}

function checkParameter(
  { name, shape }: Parameter,
  prefix: string,
  places: Map<string, SafetensorsFile>,
  folder: string,
): void {
  const stored = fileName(prefix, name);
  const file = places.get(stored);
  if (file === undefined) {
    const some = [...places.keys()].slice(0, 3).join(", ") || "none at all";
    throw new UserError(
      `the weights have no tensor ${name}, with or without ${TRANSFORMER_PREFIX} before it`,
      {
        file: folder,
        hint: `they have ${some}: another model than config.json says`,
      },
    );
  }
  const { dtype, shape: found } = file.info(stored);
  if (found.length !== shape.length || found.some((n, i) => n !== shape[i])) {
    throw new UserError(
      `tensor ${stored} is [${found.join(", ")}], config.json asks for [${shape.join(", ")}]`,
      { file: file.name, hint: "the weights belong to a model of another shape; use their own config.json" },
    );
  }
  if (!FLOATS.includes(dtype)) {
    throw new UserError(`tensor ${stored} has dtype ${dtype}, expected ${FLOATS.join(", ")}`, {
      file: file.name,
      hint: "quantized weights cannot be read: save the model in 16 or 32 bits",
    });
  }
}

/** Why a tensor is no parameter. */
function reasonOf(
  name: string,
  prefix: string,
  { n_layer }: ModelConfig,
  places: Map<string, SafetensorsFile>,
): string {
  const layer = /^h\.(\d+)\./.exec(name.slice(name.startsWith(prefix) ? prefix.length : 0))?.[1];
  if (layer !== undefined && Number(layer) >= n_layer) {
    throw new UserError(`holds tensor ${name}, but config.json says n_layer ${n_layer}`, {
      file: places.get(name)!.name,
      hint: "the weights belong to a model of another shape; use their own config.json",
    });
  }
  if (/\.attn\.(masked_)?bias$/.test(name)) return "attention mask";
  if (name !== "lm_head.weight") return "no parameter of the model";
  const head = places.get(name)!;
  const wte = places.get(`${prefix}wte.weight`)!;
  if (!isSame(head.readBytes(name), wte.readBytes(`${prefix}wte.weight`))) {
    throw new UserError(`tensor ${name} is not the same as wte.weight`, {
      file: head.name,
      hint:
        "config.json says that the head is tied to it; with tie_word_embeddings false it has weights of its own",
    });
  }
  return "head, tied to wte.weight";
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
