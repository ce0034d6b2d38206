/**
 * Reading safetensors, the file form in which Hugging Face keeps weights: 8 bytes with the header's length
 * (little-endian), a JSON header `{name: {dtype, shape, data_offsets: [begin, end]}, __metadata__?}`, then the
 * tensors' bytes (little-endian, row-major) without gaps. A file is read tensor by tensor, never as a whole.
 *
 * The header's form and checks are in `safetensors_header.ts`, writing is in `safetensors_write.ts`.
 *
 * Source of the format: the README of Hugging Face's safetensors ("Format").
 */
import { displayPath, fileError, UserError } from "../common/mod.ts";
import {
  type ByteSource,
  checkHeader,
  type Dtype,
  readHeader,
  type TensorInfo,
} from "./safetensors_header.ts";

/** An open safetensors file: its header is read and checked, its tensors are read when asked for. */
export class SafetensorsFile implements Disposable {
  /** Name of the file, for messages. */
  readonly name: string;
  /** The header's `__metadata__`. */
  readonly metadata: Record<string, string>;
  /** Tensors by name, in the order of their bytes. */
  readonly tensors: Map<string, TensorInfo>;
  readonly #source: ByteSource;
  readonly #dataOffset: number;

  constructor(name: string, source: ByteSource) {
    this.name = name;
    this.#source = source;
    const { header, dataOffset } = readHeader(name, source);
    this.#dataOffset = dataOffset;
    const dataBytes = source.size - dataOffset;
    ({ metadata: this.metadata, tensors: this.tensors } = checkHeader(name, header, dataBytes));
  }

  /** What the header says about a tensor; throws a UserError when the file has none of that name. */
  info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (info === undefined) {
      throw new UserError(`has no tensor ${name}`, { file: this.name, hint: "it holds another model" });
    }
    return info;
  }

  /** A tensor's bytes as they stand in the file. */
  readBytes(name: string): Uint8Array<ArrayBuffer> {
    const { begin, end } = this.info(name);
    return this.#source.read(this.#dataOffset + begin, end - begin);
  }

  /** A tensor of F32, F16, BF16 or F64 as float32 (F64 is rounded); throws a UserError for any other dtype. */
  readFloat32(name: string): Float32Array<ArrayBuffer> {
    const { dtype } = this.info(name);
    const bytes = this.readBytes(name);
    switch (dtype) {
      case "F32":
        return new Float32Array(bytes.buffer);
      case "F16":
        return new Float32Array(new Float16Array(bytes.buffer));
      case "F64":
        return new Float32Array(new Float64Array(bytes.buffer));
      case "BF16":
        return bf16ToFloat32(new Uint16Array(bytes.buffer));
      default:
        throw new UserError(`tensor ${name} has dtype ${dtype}, expected F32, F16, BF16 or F64`, {
          file: this.name,
        });
    }
  }

  /** A tensor of I32, U32, I64, U16, I16, U8 or I8 as int32; throws a UserError for other dtypes and for values beyond int32. */
  readInt32(name: string): Int32Array<ArrayBuffer> {
    const { dtype } = this.info(name);
    const { buffer } = this.readBytes(name);
    const integers = integerView(dtype, buffer);
    if (integers === undefined) {
      throw new UserError(`tensor ${name} has dtype ${dtype}, expected integers`, { file: this.name });
    }
    if (integers instanceof Int32Array) return integers;
    const result = new Int32Array(integers.length);
    for (let i = 0; i < integers.length; i++) {
      result[i] = Number(integers[i]!);
      if (result[i] !== Number(integers[i]!)) {
        throw new UserError(`tensor ${name} holds ${integers[i]}, which is beyond a 32-bit integer`, {
          file: this.name,
        });
      }
    }
    return result;
  }

  /** Closes the file. */
  close(): void {
    this.#source.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens a safetensors file and checks its header. The caller closes it, or says `using`.
 *
 * @throws UserError that names the file when it is missing, truncated, or no safetensors file.
 */
export function openSafetensors(path: string): SafetensorsFile {
  const name = displayPath(path);
  let file: Deno.FsFile | undefined;
  try {
    file = Deno.openSync(path);
    if (file.statSync().isDirectory) {
      throw new UserError("is a folder, expected a safetensors file", { file: name });
    }
    return new SafetensorsFile(name, fileSource(name, file));
  } catch (error) {
    file?.close();
    throw fileError(error, path);
  }
}

/**
 * Reads safetensors out of memory; `name` stands for the file in messages.
 *
 * @throws UserError as {@link openSafetensors}.
 *
 * @example
 * ```ts
 * import { parseSafetensors } from "./safetensors.ts";
 * const header = new TextEncoder().encode('{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
 * const bytes = new Uint8Array(8 + header.length + 4);
 * new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
 * bytes.set(header, 8);
 * new DataView(bytes.buffer).setFloat32(8 + header.length, 1.5, true);
 * console.log(parseSafetensors(bytes, "x.safetensors").readFloat32("x")); // [1.5]
 * ```
 */
export function parseSafetensors(bytes: Uint8Array, name: string): SafetensorsFile {
  return new SafetensorsFile(name, {
    size: bytes.length,
    read: (offset, length) => new Uint8Array(bytes.subarray(offset, offset + length)),
    close: () => {},
  });
}

function fileSource(name: string, file: Deno.FsFile): ByteSource {
  const size = file.statSync().size;
  const read = (offset: number, length: number) => {
    const bytes = new Uint8Array(length);
    file.seekSync(offset, Deno.SeekMode.Start);
    for (let at = 0; at < length;) {
      const n = file.readSync(bytes.subarray(at));
      if (n === null) throw new UserError(`ended at byte ${offset + at} while it was read`, { file: name });
      at += n;
    }
    return bytes;
  };
  return { size, read, close: () => file.close() };
}

function bf16ToFloat32(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  return new Float32Array(bits.buffer);
}

function integerView(dtype: Dtype, buffer: ArrayBuffer) {
  switch (dtype) {
    case "I8":
      return new Int8Array(buffer);
    case "U8":
      return new Uint8Array(buffer);
    case "I16":
      return new Int16Array(buffer);
    case "U16":
      return new Uint16Array(buffer);
    case "I32":
      return new Int32Array(buffer);
    case "U32":
      return new Uint32Array(buffer);
    case "I64":
      return new BigInt64Array(buffer);
    case "U64":
      return new BigUint64Array(buffer);
    default:
      return undefined;
  }
}
