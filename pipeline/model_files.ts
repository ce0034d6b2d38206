/**
 * Writing a model's folder in Hugging Face's form: weights in one file or in shards, tensor by tensor, and whether a
 * folder may be written where the user wants it.
 */

import { join } from "path";
import { displayPath, fileError, UserError, writeFileSynced } from "../common/mod.ts";
import { DTYPE_BYTES, MODEL_FILES, type TensorToWrite, writeSafetensors } from "../models/mod.ts";

/** Without this mark Hugging Face's loader refuses a file. */
const METADATA = { format: "pt" };

/**
 * Checks that a folder may be written: nothing stands there, an empty folder, or what may be replaced.
 *
 * @throws UserError when something would be lost.
 */
export async function checkTarget(path: string, overwrite: boolean): Promise<void> {
  let isEmpty = true;
  try {
    for await (const _entry of Deno.readDir(path)) isEmpty = false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw fileError(error, path, "write");
  }
  if (isEmpty || overwrite) return;
  throw new UserError("is there already and not empty", {
    file: displayPath(path),
    hint: "choose another folder, or say --overwrite to replace the whole of it",
  });
}

/**
 * Writes tensors as `model.safetensors`, or where they take more than `max_shard_size` bytes as
 * `model-00001-of-00003.safetensors` and so on with `model.safetensors.index.json`. A shard holds at least one tensor.
 *
 * @returns the names of the files.
 */
export async function writeWeights(
  dir: string,
  tensors: TensorToWrite[],
  max_shard_size = Infinity,
): Promise<string[]> {
  const shards: TensorToWrite[][] = [];
  let size = Infinity;
  for (const tensor of tensors) {
    if (size + bytesOf(tensor) > max_shard_size || shards.length === 0) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push(tensor);
    size += bytesOf(tensor);
  }
  if (shards.length === 1) {
    await writeSafetensors(join(dir, MODEL_FILES.weights), tensors, METADATA);
    return [MODEL_FILES.weights];
  }
  const weight_map: Record<string, string> = {};
  const names: string[] = [];
  for (const [i, shard] of shards.entries()) {
    const name = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    await writeSafetensors(join(dir, name), shard, METADATA);
    for (const tensor of shard) weight_map[tensor.name] = name;
    names.push(name);
  }
  const total_size = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  await writeJson(join(dir, MODEL_FILES.index), { metadata: { total_size }, weight_map });
  return [...names, MODEL_FILES.index];
}

/** Writes a value as readable JSON. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileSynced(path, `${JSON.stringify(value, null, 2)}\n`);
}

const number = (n: number) => String(n).padStart(5, "0");

function bytesOf({ dtype, shape }: TensorToWrite): number {
  return DTYPE_BYTES[dtype] * shape.reduce((product, n) => product * n, 1);
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
 * import { parseSize } from "./model_files.ts";
 * parseSize("1.5KB"); // 1500
 * ```
 */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(digits) * (UNITS[unit?.toUpperCase() ?? ""] ?? NaN));
  if (bytes >= 1) return bytes;
  throw new UserError(`expected a size such as 500MB or 5GB, got ${JSON.stringify(text)}`);
}
