/**
 * Where a matrix lives and how WGSL reaches it. A kernel says `load_x(row, col)` and `store_y(row, col, value)`, `col`
 * counted in vec4s; the text of those functions is made here, so that one kernel serves buffers, storage textures
 * (on llvmpipe twice as fast to read), and matrices cut into several bindings where the adapter's binding limit is small.
 */

import { UserError } from "../common/mod.ts";

/** What training may hold in half precision: nothing, or weights as operands and activations. Sums are float32 either way. */
export const MIXED_PRECISION = ["none", "f16"] as const;

/** One of {@link MIXED_PRECISION}. */
export type MixedPrecision = typeof MIXED_PRECISION[number];

/**
 * How a matrix holds its numbers: float32, or IEEE half precision, which has 11 bits and ends at 65504. Kernels see float32
 * either way. Half precision needs no feature: `rgba16float` textures and `pack2x16float` are part of every WebGPU.
 */
export type Element = "f32" | "f16";

/** A matrix as seen by kernels. */
export type Storage = TextureStorage | BufferStorage;

/** A storage texture; texel (col, row) holds four numbers. Rows beyond the limit fold into further columns. */
export interface TextureStorage {
  readonly kind: "texture";
  readonly element: Element;
  /** Rows of the matrix. */
  readonly rows: number;
  /** vec4s a row. */
  readonly cols: number;
  /** Texture size in texels after folding. */
  readonly width: number;
  readonly height: number;
}

/** A run of vec4s in a storage buffer, bound in one or several slices of whole rows. */
export interface BufferStorage {
  readonly kind: "buffer";
  readonly element: Element;
  readonly rows: number;
  readonly cols: number;
  /** vec4s from one row to the next; at least `cols`. */
  readonly pitch: number;
  /** Rows a binding; equal to `rows` where one binding suffices. */
  readonly sliceRows: number;
}

/** Bytes of four numbers. */
export function vec4Bytes(element: Element): number {
  return element === "f16" ? 8 : 16;
}

/** The format of a texture whose texels hold four numbers. */
export function textureFormat(element: Element): "rgba16float" | "rgba32float" {
  return element === "f16" ? "rgba16float" : "rgba32float";
}

/** The texture that holds a matrix of `rows` × `cols` vec4s, or undefined when it does not fit the adapter's limit. */
export function textureStorage(
  rows: number,
  cols: number,
  maxSide: number,
  element: Element = "f32",
): TextureStorage | undefined {
  const height = Math.min(rows, maxSide);
  const width = cols * Math.ceil(rows / maxSide);
  return width > maxSide ? undefined : { kind: "texture", element, rows, cols, width, height };
}

/**
 * The buffer that holds a matrix of `rows` × `cols` vec4s, cut where `maxBinding` bytes a binding ask for it.
 *
 * @throws UserError when not even 16 rows fit a binding
 */
export function bufferStorage(
  rows: number,
  cols: number,
  pitch: number,
  maxBinding: number,
  element: Element = "f32",
): BufferStorage {
  const rowBytes = pitch * vec4Bytes(element);
  if (rows * rowBytes <= maxBinding) return { kind: "buffer", element, rows, cols, pitch, sliceRows: rows };
  const multiple = 256 / vec4Bytes(element); // offsets stay multiples of 256 bytes
  const sliceRows = Math.floor(maxBinding / rowBytes / multiple) * multiple;
  if (sliceRows === 0) {
    throw new UserError(
      `a matrix has rows of ${rowBytes} bytes: ${multiple} of them exceed the adapter's binding limit of ${maxBinding} bytes`,
      { hint: "choose a smaller vocab_size or n_embd for this adapter" },
    );
  }
  return { kind: "buffer", element, rows, cols, pitch, sliceRows };
}

/** Bytes that the matrix occupies. */
export function storageBytes(s: Storage): number {
  return vec4Bytes(s.element) * (s.kind === "texture" ? s.width * s.height : s.rows * s.pitch);
}

/** Bindings that the matrix takes in a kernel. */
export function bindingCount(s: Storage): number {
  return s.kind === "texture" ? 1 : Math.ceil(s.rows / s.sliceRows);
}

/** The bindings of a matrix that begins at a place of a buffer, one for each slice. */
export function sliceBindings(
  s: BufferStorage,
  at: { buffer: GPUBuffer; offset: number },
): GPUBufferBinding[] {
  const rowBytes = s.pitch * vec4Bytes(s.element);
  return Array.from({ length: bindingCount(s) }, (_, i) => ({
    buffer: at.buffer,
    offset: at.offset + i * s.sliceRows * rowBytes,
    size: Math.min(s.sliceRows, s.rows - i * s.sliceRows) * rowBytes,
  }));
}

/** How a kernel uses a matrix: `add` reads what is there and adds to it. */
export type Access = "read" | "write" | "add";

/**
 * The declarations and accessor of one matrix argument.
 *
 * @param name identifier used in `load_<name>` or `store_<name>`
 * @param binding first binding number
 * @param rowOffset WGSL expression added to every row, such as `view.a_row`
 */
export function accessor(
  name: string,
  s: Storage,
  access: Access,
  binding: number,
  rowOffset?: string,
): string {
  const r = rowOffset === undefined ? "row" : `(row + ${rowOffset})`;
  return s.kind === "texture"
    ? textureAccessor(name, s, access, binding, r)
    : bufferAccessor(name, s, access, binding, r);
}

function textureAccessor(
  name: string,
  s: TextureStorage,
  access: Access,
  binding: number,
  r: string,
): string {
  const folded = s.rows > s.height;
  const texel = folded
    ? `vec2u(col + ${r} / ${s.height}u * ${s.cols}u, ${r} % ${s.height}u)`
    : `vec2u(col, ${r})`;
  const format = textureFormat(s.element);
  if (access === "read") {
    return `@group(0) @binding(${binding}) var ${name}: texture_storage_2d<${format}, read>;
fn load_${name}(row: u32, col: u32) -> vec4f { return textureLoad(${name}, ${texel}); }
`;
  }
  if (access === "add") throw new Error(`${name}: a texture cannot be added to`);
  return `@group(0) @binding(${binding}) var ${name}: texture_storage_2d<${format}, write>;
fn store_${name}(row: u32, col: u32, value: vec4f) { ${
    s.element === "f16"
      ? `${HALF_WGSL}textureStore(${name}, ${texel}, half);`
      : `textureStore(${name}, ${texel}, value);`
  } }
`;
}

/**
 * WGSL of `half`, the `value` rounded to the nearest number of half precision (of two that are as near, the even one): to 11 bits,
 * below 2^-14 to a multiple of 2^-24, beyond 65504 to infinity. WebGPU leaves all of it to the driver: llvmpipe's textures and
 * some GPUs' conversions cut bits off, which would pull all weights towards 0, and give 65504 for what is larger, which
 * would hide an overflow. What is rounded here is stored as it is.
 */
const HALF_WGSL = `let bits = bitcast<vec4u>(value);
  let near = bitcast<vec4f>((bits + vec4u(0xfffu) + ((bits >> vec4u(13u)) & vec4u(1u))) & vec4u(0xffffe000u));
  let tiny = round(value * 16777216.0) * 5.9604644775390625e-8;
  let half = select(select(near, near * 3e38, abs(near) >= vec4f(65536.0)), tiny, abs(value) < vec4f(6.103515625e-5));
  `;

/** WGSL of `round_half(value)`: what is read back of a value that was stored in half precision. */
export const ROUND_HALF_WGSL = `fn round_half(value: vec4f) -> vec4f {
  ${HALF_WGSL}return half;
}
`;

function bufferAccessor(name: string, s: BufferStorage, access: Access, binding: number, r: string): string {
  const count = bindingCount(s);
  const mode = access === "read" ? "read" : "read_write";
  const slice = (i: number) => count === 1 ? name : `${name}_${i}`;
  let text = "";
  for (let i = 0; i < count; i++) {
    text += `@group(0) @binding(${binding + i}) var<storage, ${mode}> ${slice(i)}: array<${
      s.element === "f16" ? "vec2u" : "vec4f"
    }>;\n`;
  }
  const statement = (i: number, row: string) => {
    const place = `${slice(i)}[${row} * ${s.pitch}u + col]`;
    if (s.element === "f16") return halfStatement(name, access, place);
    if (access === "read") return `return ${place};`;
    return access === "write" ? `${place} = value;` : `${place} = ${place} + value;`;
  };
  let body = "";
  if (count === 1) {
    body = statement(0, r);
  } else {
    body = `let at = ${r};\n`;
    for (let i = 0; i < count - 1; i++) {
      body += `  if (at < ${(i + 1) * s.sliceRows}u) { ${statement(i, `(at - ${i * s.sliceRows}u)`)} ${
        access === "read" ? "" : "return; "
      }}\n`;
    }
    body += `  ${statement(count - 1, `(at - ${(count - 1) * s.sliceRows}u)`)}`;
  }
  return access === "read"
    ? `${text}fn load_${name}(row: u32, col: u32) -> vec4f { ${body} }\n`
    : `${text}fn store_${name}(row: u32, col: u32, value: vec4f) { ${body} }\n`;
}

/** The same of a buffer whose vec4s are two words, each of two numbers in half precision. */
function halfStatement(name: string, access: Access, place: string): string {
  switch (access) {
    case "read":
      return `let word = ${place}; return vec4f(unpack2x16float(word.x), unpack2x16float(word.y));`;
    case "write":
      return `${HALF_WGSL}${place} = vec2u(pack2x16float(half.xy), pack2x16float(half.zw));`;
    case "add":
      throw new Error(`${name}: a matrix of half precision cannot be added to`);
  }
}
