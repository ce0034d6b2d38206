/**
 * Adapters with the model that they belong to: opened together, so that each parameter can be had, and merged, so that the
 * result is a model like any other: W + (alpha / rank)·A·B in place of W.
 */
import { createHash } from "crypto";
import { join } from "path";
import { displayPath, exists, readJson, UserError, userPath } from "../common/mod.ts";
import { ADAPTER_FILES, BASE_DIGEST, fromPeftConfig, peftNames, transposed } from "./adapter_files.ts";
import type { ModelConfig } from "./config.ts";
import { type ModelFolder, openModelFolder } from "./model_folder.ts";
import { hasAdapter, parameters, type Weights } from "./parameters.ts";
import { openSafetensors, type SafetensorsFile } from "./safetensors.ts";

/** Adapters and their model, open for reading. Closed by `close` or `using`. */
export class AdapterFolder implements Disposable {
  /** A checkpoint has a step, a state, and its tokenizer as a value; this has none of them. */
  readonly step = undefined;
  readonly state = undefined;
  readonly tokenizer = undefined;

  constructor(
    /** The folder. */
    readonly path: string,
    /** The model's, and the adapters'. */
    readonly config: ModelConfig,
    /** The model that the adapters belong to. */
    readonly base: ModelFolder,
    /** Digest of its weights. */
    readonly baseDigest: string,
    private readonly file: SafetensorsFile,
    private readonly stored: ReadonlyMap<string, { name: string; shape: number[] }>,
  ) {}

  /** A parameter: one of the model's own, as it was before training, or an adapter's, in the shape of `parameters`. */
  weight(name: string): Float32Array<ArrayBuffer> {
    const found = this.stored.get(name);
    if (found === undefined) return this.base.weight(name);
    const [cols, rows] = found.shape as [number, number]; // of the matrix as it stands in the file
    return transposed(this.file.readFloat32(found.name), cols, rows);
  }

  close(): void {
    this.file.close();
    this.base.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Whether a folder holds adapters. */
export function isAdapterFolder(path: string): Promise<boolean> {
  return exists(join(path, ADAPTER_FILES.config));
}

/**
 * Opens adapters and the model that they belong to, and checks that they fit.
 *
 * @throws UserError that names the file, and what was expected; among others when the model is not there or has changed.
 */
export async function openAdapter(path: string): Promise<AdapterFolder> {
  const configPath = join(path, ADAPTER_FILES.config);
  const { lora, basePath } = fromPeftConfig(await readJson(configPath), configPath);
  if (!await exists(userPath(basePath))) {
    throw new UserError(`the model that the adapters belong to, ${basePath}, is not there`, {
      file: displayPath(configPath),
      hint: "put it there, or write its folder into base_model_name_or_path",
    });
  }
  const base = await openModelFolder(userPath(basePath));
  let file: SafetensorsFile | undefined;
  try {
    file = openSafetensors(join(path, ADAPTER_FILES.weights));
    const baseDigest = weightsDigest(base);
    const expected = file.metadata[BASE_DIGEST];
    if (expected !== undefined && expected !== baseDigest) {
      throw new UserError(`the adapters belong to other weights than ${displayPath(base.path)} holds now`, {
        file: file.name,
        hint: "restore the model that they were trained on",
      });
    }
    const config = { ...base.config, lora };
    return new AdapterFolder(path, config, base, baseDigest, file, adapterTensors(file, config));
  } catch (error) {
    file?.close();
    base.close();
    throw error;
  }
}

/** Where each adapter's matrix stands in the file: all must be there, and nothing else. */
function adapterTensors(
  file: SafetensorsFile,
  config: ModelConfig,
): Map<string, { name: string; shape: number[] }> {
  const stored = new Map<string, { name: string; shape: number[] }>();
  for (const { name, shape } of parameters(config).filter(({ frozen }) => !frozen)) {
    const names = peftNames(name);
    const found = file.info(names.find((each) => file.tensors.has(each)) ?? names[0]!);
    const wanted = shape.toReversed();
    if (found.shape.join() !== wanted.join()) {
      throw new UserError(
        `tensor ${found.name} is [${found.shape.join(", ")}], expected [${wanted.join(", ")}]`,
        {
          file: file.name,
          hint: "the adapters belong to a model of another shape, or their rank is another",
        },
      );
    }
    stored.set(name, { name: found.name, shape: wanted });
  }
  const known = new Set([...stored.values()].map(({ name }) => name));
  const foreign = [...file.tensors.keys()].find((name) => !known.has(name));
  if (foreign === undefined) return stored;
  throw new UserError(`tensor ${foreign} is no adapter of the layers that ${ADAPTER_FILES.config} names`, {
    file: file.name,
    hint: "restore both files",
  });
}

/** SHA-256 over name, dtype and bytes of every parameter, in the order of `parameters`: tells whether two models are one. */
export function weightsDigest(folder: ModelFolder): string {
  const hash = createHash("sha256");
  for (const { name } of parameters(folder.config)) {
    hash.update(`${name} ${folder.info(name).dtype}\n`).update(folder.bytes(name));
  }
  return hash.digest("hex");
}

/** What a merged model is made of: all parameters of a configuration with adapters, one by one. */
export interface AdaptedWeights extends Disposable {
  readonly path: string;
  readonly config: ModelConfig;
  readonly tokenizer: unknown;
  readonly step: number | undefined;
  readonly state: Record<string, unknown> | undefined;
  weight(name: string): Float32Array<ArrayBuffer>;
  close(): void;
}

/** A model with its adapters merged, to be read like any other. Closes what it was made of. */
export class MergedModel implements Disposable {
  /** Without adapters. */
  readonly config: ModelConfig;

  constructor(
    private readonly source: AdaptedWeights,
    /** Folder of the model that the adapters belong to. */
    readonly basePath: string,
  ) {
    const { lora: _, ...config } = source.config;
    this.config = config;
  }

  get path(): string {
    return this.source.path;
  }

  get tokenizer(): unknown {
    return this.source.tokenizer;
  }

  get step(): number | undefined {
    return this.source.step;
  }

  get state(): Record<string, unknown> | undefined {
    return this.source.state;
  }

  /** With adapters. */
  get adaptedConfig(): ModelConfig {
    return this.source.config;
  }

  /** A parameter, in the shape that `parameters(config)` says. The sums are in float64, the result is float32. */
  weight(name: string): Float32Array<ArrayBuffer> {
    const lora = this.source.config.lora!;
    const layer = name.replace(/\.weight$/, "");
    const weight = this.source.weight(name);
    if (layer === name || !hasAdapter(layer, lora)) return weight;
    const [a, b] = [this.source.weight(`${layer}.lora_A`), this.source.weight(`${layer}.lora_B`)];
    const { rank } = lora;
    const scale = lora.alpha / rank;
    const [rows, cols] = [a.length / rank, b.length / rank];
    const sums = new Float64Array(cols); // one row of A·B
    for (let i = 0; i < rows; i++) {
      sums.fill(0);
      for (let k = 0; k < rank; k++) {
        const factor = a[i * rank + k]!;
        for (let j = 0; j < cols; j++) sums[j]! += factor * b[k * cols + j]!;
      }
      for (let j = 0; j < cols; j++) weight[i * cols + j]! += scale * sums[j]!;
    }
    return weight;
  }

  /** All parameters, in memory. */
  weights(): Weights {
    return new Map(
      parameters(this.config).map(({ name, shape }) => [name, { shape, data: this.weight(name) }]),
    );
  }

  close(): void {
    this.source.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
