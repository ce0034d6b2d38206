/**
 * The header of a safetensors file: what it says, and whether that can be true. Every file is taken for a
 * stranger's: what the header claims is checked against the file before a byte of data is used.
 *
 * Source of the format: the README of Hugging Face's safetensors ("Format").
 */
import { UserError } from "../common/mod.ts";

/** Bytes an element of each dtype takes. */
export const DTYPE_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

/** The name of an element type, as safetensors spells it. */
export type Dtype = keyof typeof DTYPE_BYTES;

/** What the header says about one tensor. */
export interface TensorInfo {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** First byte of the tensor's data, counted from the end of the header. */
  begin: number;
  /** One past the tensor's last byte. */
  end: number;
}

/** Something that gives bytes at a place: a file or memory. */
export interface ByteSource {
  size: number;
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
  close(): void;
}

/** The format's own limit on the header's length, against files made to exhaust memory. */
const MAX_HEADER_BYTES = 100_000_000;

/** Reads the header as JSON, and where the data begin. */
export function readHeader(path: string, source: ByteSource): { header: unknown; dataOffset: number } {
  const foreign = (what: string) =>
    new UserError(`is no safetensors file: ${what}`, {
      file: path,
      hint: "expected a file of form .safetensors",
    });
  if (source.size < 8) throw foreign(`it has ${source.size} bytes, not even the header's length`);
  const length = new DataView(source.read(0, 8).buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw foreign(`its header would take ${length} bytes, the format allows ${MAX_HEADER_BYTES}`);
  }
  const dataOffset = 8 + Number(length);
  if (dataOffset > source.size) {
    throw new UserError(`is truncated: its header takes ${dataOffset} bytes, the file has ${source.size}`, {
      file: path,
      hint: "copy or download it again",
    });
  }
  const bytes = source.read(8, Number(length));
  if (bytes[0] !== 0x7b) throw foreign("its header does not begin with {");
  try {
    return { header: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)), dataOffset };
  } catch {
    throw foreign("its header is not JSON");
  }
}

/** Checks that every entry is whole and that the tensors fill the data without overlap or gap. */
export function checkHeader(
  path: string,
  header: unknown,
  dataBytes: number,
): { metadata: Record<string, string>; tensors: Map<string, TensorInfo> } {
  const wrong = (message: string, hint = "write the file again") =>
    new UserError(message, { file: path, hint });
  const { __metadata__: metadata = {}, ...entries } = header as Record<string, unknown>;
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== "string")) {
    throw wrong("__metadata__ of the header must map texts to texts");
  }
  const infos: TensorInfo[] = [];
  for (const [name, entry] of Object.entries(entries)) infos.push(checkEntry(name, entry, wrong));
  infos.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  let before = "the header";
  for (const { name, begin, end } of infos) {
    if (begin < at) throw wrong(`tensor ${name} overlaps ${before} (byte ${begin} is before ${at})`);
    if (begin > at) {
      throw wrong(`there is a gap between ${before} and tensor ${name} (bytes ${at} to ${begin})`);
    }
    at = end;
    before = `tensor ${name}`;
  }
  if (at > dataBytes) {
    throw wrong(
      `is truncated: its tensors take ${at} bytes, the file has ${dataBytes} after the header`,
      "copy or download it again",
    );
  }
  if (at < dataBytes) throw wrong(`has ${dataBytes - at} bytes after its last tensor that belong to none`);
  return {
    metadata: metadata as Record<string, string>,
    tensors: new Map(infos.map((info) => [info.name, info])),
  };
}

function checkEntry(name: string, entry: unknown, wrong: (message: string) => UserError): TensorInfo {
  if (!isRecord(entry)) throw wrong(`the header's entry of tensor ${name} is not an object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw wrong(`tensor ${name} has the unknown dtype ${JSON.stringify(dtype)}`);
  }
  if (!isCounts(shape)) throw wrong(`tensor ${name} has no valid shape: ${JSON.stringify(shape)}`);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw wrong(`tensor ${name} has no valid data_offsets: ${JSON.stringify(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = DTYPE_BYTES[dtype as Dtype] * shape.reduce((product, n) => product * n, 1);
  if (end - begin !== bytes) {
    throw wrong(
      `tensor ${name} of ${dtype} [${shape}] takes ${bytes} bytes, its data_offsets span ${end - begin}`,
    );
  }
  return { name, dtype: dtype as Dtype, shape, begin, end };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
