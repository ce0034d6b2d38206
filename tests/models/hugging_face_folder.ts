/** Model folders in Hugging Face's form, as other programs write them, for the tests; and a second reader of safetensors. */

import { join } from "path";
import { normal } from "../../common/mod.ts";
import {
  type Dtype,
  type ModelConfig,
  modelConfig,
  parameters,
  type TensorToWrite,
  toHuggingFaceConfig,
  writeSafetensors,
} from "../../models/mod.ts";

/** A model whose sizes are no multiple of anything. */
export const ODD_MODEL: ModelConfig = modelConfig({
  n_layer: 2,
  n_head: 3,
  n_embd: 9,
  n_positions: 7,
  vocab_size: 11,
});

/** How a folder is to look. */
export interface FolderForm {
  config?: ModelConfig;
  prefix?: string;
  /** Dtype of every parameter. */
  dtype?: "F32" | "F16" | "BF16";
  /** Tensors of each shard; one file when left out. */
  shards?: number;
  /** Mask buffers and the tied head beside the parameters. */
  extras?: boolean;
  /** Changes the tensors before they are written. */
  change?: (tensors: TensorToWrite[]) => void;
}

/** Random numbers as elements of a dtype. */
export function elements(
  dtype: FolderForm["dtype"],
  length: number,
  stream: number,
): Uint8Array<ArrayBuffer> {
  const values = new Float32Array(length).map((_, i) => 0.3 * normal(5, stream, i));
  if (dtype === "F16") return new Uint8Array(new Float16Array(values).buffer);
  if (dtype !== "BF16") return new Uint8Array(values.buffer);
  return new Uint8Array(new Uint16Array(new Uint32Array(values.buffer).map((bits) => bits >>> 16)).buffer);
}

/** Writes a folder; gives the bytes of each parameter by its name without prefix. */
export async function writeFolder(dir: string, form: FolderForm = {}): Promise<Map<string, Uint8Array>> {
  const { config = ODD_MODEL, prefix = "", dtype = "F32", shards, extras, change } = form;
  await Deno.mkdir(dir, { recursive: true });
  await Deno.writeTextFile(join(dir, "config.json"), JSON.stringify(toHuggingFaceConfig(config)));
  const bytes = new Map<string, Uint8Array>();
  const tensors: TensorToWrite[] = parameters(config).map(({ name, shape }, stream) => {
    const data = elements(dtype, shape.reduce((a, b) => a * b, 1), stream);
    bytes.set(name, data);
    return { name: prefix + name, dtype: dtype as Dtype, shape, data };
  });
  if (extras) {
    const { n_positions: T, vocab_size: V, n_embd: C } = config;
    tensors.push(
      { name: `${prefix}h.0.attn.bias`, dtype: "BOOL", shape: [1, 1, T, T], data: new Uint8Array(T * T) },
      { name: `${prefix}h.1.attn.masked_bias`, dtype: "F32", shape: [], data: Float32Array.of(-1e4) },
      { name: "lm_head.weight", dtype, shape: [V, C], data: bytes.get("wte.weight")! },
    );
  }
  change?.(tensors);
  if (shards === undefined) {
    await writeSafetensors(join(dir, "model.safetensors"), tensors, { format: "pt" });
    return bytes;
  }
  const weight_map: Record<string, string> = {};
  for (let first = 0, n = 1; first < tensors.length; first += shards, n++) {
    const name = `model-${String(n).padStart(5, "0")}-of-many.safetensors`;
    const some = tensors.slice(first, first + shards);
    await writeSafetensors(join(dir, name), some, { format: "pt" });
    for (const tensor of some) weight_map[tensor.name] = name;
  }
  await Deno.writeTextFile(
    join(dir, "model.safetensors.index.json"),
    JSON.stringify({ metadata: { total_size: 1 }, weight_map }),
  );
  return bytes;
}

/** A tensor as the second reader gives it. */
export interface PlainTensor {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

/** Reads a safetensors file by the format's description alone, sharing nothing with the code under test. */
export async function readPlainSafetensors(path: string): Promise<Map<string, PlainTensor>> {
  const all = await Deno.readFile(path);
  let length = 0;
  for (let i = 7; i >= 0; i--) length = length * 256 + all[i]!;
  const header = JSON.parse(new TextDecoder().decode(all.slice(8, 8 + length)));
  const tensors = new Map<string, PlainTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: [begin, end] } = entry as {
      dtype: string;
      shape: number[];
      data_offsets: [number, number];
    };
    tensors.set(name, { dtype, shape, bytes: all.slice(8 + length + begin, 8 + length + end) });
  }
  return tensors;
}
