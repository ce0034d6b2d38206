/**
 * Reading a checkpoint: a folder `step_00000500/` with
 *
 * - `config.json`, `model.safetensors`: a Hugging Face model (GPT2LMHeadModel), as it stands, where such a one computes the same;
 * - `optimizer.safetensors`: the optimizer's state, such as `exp_avg.<name>` (see `optimizer_state.ts`);
 * - or, where adapters are trained, `adapter_config.json` and `adapter_model.safetensors` in PEFT's form beside
 *   `config.json`, and the state of the adapters alone; the model that they belong to stands elsewhere;
 * - `chatgot_tokenizer.json`: the tokenizer, an object that this room passes on unread;
 * - `state.json`: format version, step, SHA-256 of the other files, and the trainer's state, passed on unread.
 *
 * Everything is verified when the folder is opened, so that a broken one is never half taken over; the tensors are then
 * read one by one. Writing is in `checkpoint_write.ts`, choosing among a run's in `checkpoint_list.ts`.
 */
import { join } from "path";
import { z } from "zod";
import { displayPath, exists, readJson, sha256File, UserError, validate } from "../common/mod.ts";
import { AdapterFolder, openAdapter } from "./adapter.ts";
import type { OptimizerName } from "../gpu/mod.ts";
import { ADAPTER_FILES, type AdapterBase } from "./adapter_files.ts";
import type { ModelConfig } from "./config.ts";
import { fromHuggingFaceConfig } from "./hugging_face_config.ts";
import { checkState, optimizerOf, type StateTensor } from "./optimizer_state.ts";
import { parameters, storedName, type Weights } from "./parameters.ts";
import { openSafetensors, type SafetensorsFile } from "./safetensors.ts";

/** Version of the folder's form that is written; an older one would be read too, a newer one is refused. */
export const CHECKPOINT_FORMAT_VERSION = 1;

/** The files of a checkpoint, by what they hold. */
export const CHECKPOINT_FILES = {
  config: "config.json",
  model: "model.safetensors",
  optimizer: "optimizer.safetensors",
  tokenizer: "chatgot_tokenizer.json",
  state: "state.json",
} as const;

/** What stands in `state.json`. */
export const stateFileSchema = z.strictObject({
  format_version: z.int().min(1),
  step: z.int().min(0),
  sha256: z.record(z.string(), z.string()),
  state: z.record(z.string(), z.unknown()),
});

/** A verified checkpoint, open for reading. Closed by `close` or `using`. */
export class Checkpoint implements Disposable {
  readonly #model: SafetensorsFile | AdapterFolder;
  readonly #optimizer: SafetensorsFile;
  /** The optimizer whose state it holds. */
  readonly optimizer: OptimizerName;

  constructor(
    /** The folder. */
    readonly path: string,
    /** Optimizer steps done when it was written. */
    readonly step: number,
    readonly config: ModelConfig,
    /** The tokenizer as it was handed over when the checkpoint was written. */
    readonly tokenizer: unknown,
    /** The trainer's state as it was handed over. */
    readonly state: Record<string, unknown>,
    files: { model: SafetensorsFile | AdapterFolder; optimizer: SafetensorsFile },
  ) {
    this.#model = files.model;
    this.#optimizer = files.optimizer;
    this.optimizer = optimizerOf(files.optimizer);
  }

  /** One parameter's weights, row-major in the shape that `parameters(config)` says. */
  weight(name: string): Float32Array<ArrayBuffer> {
    const model = this.#model;
    return model instanceof AdapterFolder
      ? model.weight(name)
      : model.readFloat32(storedName(this.config, name));
  }

  /** The model that the checkpoint's adapters belong to; undefined where all weights are trained. */
  get base(): AdapterBase | undefined {
    const model = this.#model;
    return model instanceof AdapterFolder ? { path: model.base.path, sha256: model.baseDigest } : undefined;
  }

  /** A tensor of the optimizer's state. */
  optimizerState({ name, dtype }: StateTensor): Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> {
    return dtype === "U8" ? this.#optimizer.readBytes(name) : this.#optimizer.readFloat32(name);
  }

  /** All weights, in memory. */
  weights(): Weights {
    return new Map(
      parameters(this.config).map(({ name, shape }) => [name, { shape, data: this.weight(name) }]),
    );
  }

  close(): void {
    this.#model.close();
    this.#optimizer.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens a checkpoint and verifies it: format version, checksum of every file, every tensor's shape.
 *
 * @param path the folder.
 * @param expected the configuration that the model must have, when the weights are to go into a given one.
 * @throws UserError that names the file, and for a shape the tensor, what was expected and what was found.
 */
export async function readCheckpoint(path: string, expected?: ModelConfig): Promise<Checkpoint> {
  const statePath = join(path, CHECKPOINT_FILES.state);
  if (!await exists(statePath)) {
    throw new UserError("is no checkpoint: it has no state.json", {
      file: displayPath(path),
      hint: "expected a folder such as runs/<name>/checkpoints/step_00000500",
    });
  }
  const json = await readJson(statePath);
  checkVersion(json, statePath);
  const { step, sha256, state } = validate(stateFileSchema, json, { file: displayPath(statePath) });
  const { config: configFile, model, optimizer, tokenizer: tokenizerFile } = CHECKPOINT_FILES;
  const hasAdapters = sha256[ADAPTER_FILES.weights] !== undefined;
  const weightFiles = hasAdapters ? Object.values(ADAPTER_FILES) : [model];
  for (const name of [configFile, tokenizerFile, ...weightFiles, optimizer]) {
    const file = join(path, name);
    if (await sha256File(file) !== sha256[name]) {
      throw new UserError("is damaged: its checksum is not the one in state.json", {
        file: displayPath(file),
        hint: "use another checkpoint, or copy this one again",
      });
    }
  }
  const own = fromHuggingFaceConfig(await readJson(join(path, configFile)), join(path, configFile));
  const tokenizer = await readJson(join(path, tokenizerFile));
  const files: (SafetensorsFile | AdapterFolder)[] = [];
  const open = <F extends SafetensorsFile | AdapterFolder>(file: F): F => {
    files.push(file);
    return file;
  };
  try {
    const weights = open(hasAdapters ? await openAdapter(path) : openSafetensors(join(path, model)));
    const lora = weights instanceof AdapterFolder ? weights.config.lora : undefined;
    const config = lora === undefined ? own : { ...own, lora };
    const optimizerFile = open(openSafetensors(join(path, optimizer)));
    if (!(weights instanceof AdapterFolder)) checkShapes(weights, expected ?? config, "");
    checkState(optimizerFile, expected ?? config, optimizerOf(optimizerFile));
    return new Checkpoint(path, step, config, tokenizer, state, { model: weights, optimizer: optimizerFile });
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

/**
 * Checks that a file holds every parameter of a configuration that is trained, in its shape.
 *
 * @param prefix what stands before the parameters' names in the file; "" in a model's own file.
 * @throws UserError with the first tensor that is missing or of another shape.
 */
export function checkShapes(file: SafetensorsFile, config: ModelConfig, prefix: string): void {
  for (const { name, shape, frozen } of parameters(config)) {
    if (frozen) continue;
    const stored = prefix === "" ? storedName(config, name) : prefix + name;
    const found = file.info(stored).shape;
    if (found.length !== shape.length || found.some((n, i) => n !== shape[i])) {
      throw new UserError(
        `tensor ${stored} is [${found.join(", ")}], the configuration expects [${shape.join(", ")}]`,
        {
          file: file.name,
          hint: "the weights belong to a model of another shape: use the configuration they were made with",
        },
      );
    }
  }
}

function checkVersion(json: unknown, path: string): void {
  const version = (json as { format_version?: unknown } | null)?.format_version;
  if (typeof version === "number" && version > CHECKPOINT_FORMAT_VERSION) {
    throw new UserError(
      `has format version ${version}, this ChatGoT reads up to ${CHECKPOINT_FORMAT_VERSION}`,
      { file: displayPath(path), hint: "use the version that wrote it, or a newer one" },
    );
  }
}
