/**
 * Adapters in the form of PEFT, Hugging Face's library of them: `adapter_config.json` and `adapter_model.safetensors`, in
 * which A stands as [rank, in] and B as [out, rank], each the other way round than in `parameters.ts`.
 *
 * Source of the form: PEFT's documentation ("PEFT checkpoint format") and of its LoraConfig. What would change the
 * result and is not computed here (DoRA, rank-stabilised scaling, ranks by layer, trained biases) is refused.
 */
import { z } from "zod";
import { displayPath, validate } from "../common/mod.ts";
import { LORA_TARGETS, type LoraConfig } from "./config.ts";
import type { Parameter } from "./parameters.ts";
import type { TensorData, TensorToWrite } from "./safetensors_write.ts";

/** The files of an adapter, by what they hold. */
export const ADAPTER_FILES = { config: "adapter_config.json", weights: "adapter_model.safetensors" } as const;

/** Key of the file's metadata for the digest of the model that the adapters belong to; see `weightsDigest`. */
export const BASE_DIGEST = "base_sha256";

/** The model that adapters belong to. */
export interface AdapterBase {
  /** Its folder, absolute. */
  path: string;
  /** Digest of its weights. */
  sha256: string;
}

const none = z.union([
  z.array(z.unknown()).max(0),
  z.record(z.string(), z.unknown()).refine(
    (value) => Object.keys(value).length === 0,
  ),
]).nullish();

const peftSchema = z.looseObject({
  peft_type: z.literal("LORA").describe("only LoRA is supported"),
  base_model_name_or_path: z.string().min(1).describe("folder of the model that the adapters belong to"),
  r: z.int().min(1),
  lora_alpha: z.number().positive(),
  target_modules: z.array(z.enum(LORA_TARGETS)).min(1).describe("linear layers of GPT-2"),
  bias: z.literal("none").default("none").describe("trained biases are not supported"),
  use_rslora: z.literal(false).default(false).describe("rank-stabilised scaling is not supported"),
  use_dora: z.literal(false).default(false).describe("DoRA is not supported"),
  rank_pattern: none.describe("one rank for all layers is supported"),
  alpha_pattern: none.describe("one alpha for all layers is supported"),
  layers_to_transform: none.describe("adapters in all layers are supported"),
  modules_to_save: none.describe("modules that are trained as a whole are not supported"),
});

/** What `adapter_config.json` holds. */
export function toPeftConfig(
  { rank, alpha, targets }: LoraConfig,
  basePath: string,
): Record<string, unknown> {
  return {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: basePath,
    inference_mode: true,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    target_modules: targets,
    fan_in_fan_out: true, // GPT-2's linear layers stand [in, out]
    bias: "none",
    modules_to_save: null,
  };
}

/**
 * Reads an `adapter_config.json`.
 *
 * @param file its path, for messages
 * @throws UserError that names the file and the field when it is no LoRA or one that is not supported.
 */
export function fromPeftConfig(json: unknown, file: string): { lora: LoraConfig; basePath: string } {
  const config = validate(peftSchema, json, { file: displayPath(file) });
  const { r: rank, lora_alpha: alpha, target_modules: targets } = config;
  return { lora: { rank, alpha, targets }, basePath: config.base_model_name_or_path };
}

/** The names that PEFT may give a parameter such as `h.0.attn.c_attn.lora_A`, the usual one first. */
export function peftNames(name: string): string[] {
  return ["base_model.model.transformer.", "base_model.model."].map((prefix) => `${prefix}${name}.weight`);
}

/** An adapter's matrix as a tensor of PEFT's file. */
export function peftTensor({ name, shape: [rows, cols] }: Parameter, data: TensorData): TensorToWrite {
  return {
    name: peftNames(name)[0]!,
    dtype: "F32",
    shape: [cols!, rows!],
    data: async function* () {
      yield transposed(await whole(data, rows! * cols!), rows!, cols!);
    },
  };
}

/** A matrix of rows × cols with rows and columns exchanged: [cols, rows]. */
export function transposed(data: Float32Array, rows: number, cols: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(rows * cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) result[j * rows + i] = data[i * cols + j]!;
  return result;
}

/** All pieces of a tensor's data in one. */
async function whole(data: TensorData, length: number): Promise<Float32Array> {
  const bytes = new Uint8Array(4 * length);
  let at = 0;
  for await (const piece of typeof data === "function" ? data() : [data]) {
    bytes.set(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength), at);
    at += piece.byteLength;
  }
  return new Float32Array(bytes.buffer);
}
