/**
 * Writing safetensors piece by piece: a tensor's data may come as slices read back from a device, so that no copy of the
 * whole model stands in memory. The file's SHA-256 is computed on the way. Writing under a temporary name and
 * renaming is the caller's (see `checkpoint_write.ts`). Typed arrays hold little-endian bytes on every system
 * that Deno runs on, which is what the format asks for.
 */
import { createHash } from "crypto";
import { type Dtype, DTYPE_BYTES } from "./safetensors_header.ts";

/** Bytes of a tensor in one piece, or a function that gives them in pieces, in order. */
export type TensorData =
  | ArrayBufferView
  | (() => Iterable<ArrayBufferView> | AsyncIterable<ArrayBufferView>);

/** A tensor to be written: `data` holds its elements as `dtype`, row-major. */
export interface TensorToWrite {
  name: string;
  dtype: Dtype;
  shape: number[];
  data: TensorData;
}

/**
 * Writes a safetensors file and syncs it to the disk.
 *
 * Tensors stand in the order given, wider dtypes first so that each is aligned; the header is padded with spaces to
 * a multiple of 8 bytes, as Hugging Face's writer does.
 *
 * @returns the file's SHA-256 in hexadecimal.
 * @throws Error when a tensor's pieces are more or fewer bytes than its shape says.
 */
export async function writeSafetensors(
  path: string,
  tensors: TensorToWrite[],
  metadata: Record<string, string> = {},
): Promise<string> {
  const ordered = tensors.toSorted((a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype]);
  const hash = createHash("sha256");
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const write = async (bytes: Uint8Array) => {
    hash.update(bytes);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  };
  await write(encodeHeader(ordered, metadata));
  for (const tensor of ordered) {
    let left = byteLength(tensor);
    const pieces = typeof tensor.data === "function" ? tensor.data() : [tensor.data];
    for await (const piece of pieces) {
      left -= piece.byteLength;
      await write(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
    }
    if (left !== 0) {
      throw new Error(
        `data of tensor ${tensor.name} differ from its shape [${tensor.shape}] by ${-left} bytes`,
      );
    }
  }
  await file.sync();
  return hash.digest("hex");
}

function byteLength({ dtype, shape }: TensorToWrite): number {
  return DTYPE_BYTES[dtype] * shape.reduce((product, n) => product * n, 1);
}

function encodeHeader(tensors: TensorToWrite[], metadata: Record<string, string>): Uint8Array {
  const entries: [string, unknown][] = Object.keys(metadata).length === 0 ? [] : [["__metadata__", metadata]];
  let begin = 0;
  for (const tensor of tensors) {
    const end = begin + byteLength(tensor);
    entries.push([tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, end] }]);
    begin = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}
