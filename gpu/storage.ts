/**
 * Where a matrix lives and how WGSL reaches it. A kernel says `load_x(row, col)` and `store_y(row, col, value)`, `col`
 * counted in vec4s; the text of those functions is made here, so that one kernel serves buffers, storage textures
 * (on llvmpipe twice as fast to read), and matrices cut into several bindings where the adapter's binding limit is small.
 */

import { UserError } from "../common/mod.ts";

/** A matrix as seen by kernels. */
export type Storage = TextureStorage | BufferStorage;

/** An rgba32float storage texture; texel (col, row) holds four floats. Rows beyond the limit fold into further columns. */
export interface TextureStorage {
  readonly kind: "texture";
  /** Rows of the matrix. */
  readonly rows: number;
  /** vec4s a row. */
  readonly cols: number;
  /** Texture size in texels after folding. */
  readonly width: number;
  readonly height: number;
}

/** A run of vec4f in a storage buffer, bound in one or several slices of whole rows. */
export interface BufferStorage {
  readonly kind: "buffer";
  readonly rows: number;
  readonly cols: number;
  /** vec4s from one row to the next; at least `cols`. */
  readonly pitch: number;
  /** Rows a binding; equal to `rows` where one binding suffices. */
  readonly sliceRows: number;
}

/** The texture that holds a matrix of `rows` × `cols` vec4s, or undefined when it does not fit the adapter's limit. */
export function textureStorage(rows: number, cols: number, maxSide: number): TextureStorage | undefined {
  const height = Math.min(rows, maxSide);
  const width = cols * Math.ceil(rows / maxSide);
  return width > maxSide ? undefined : { kind: "texture", rows, cols, width, height };
}

/**
 * The buffer that holds a matrix of `rows` × `cols` vec4s, cut where `maxBinding` bytes a binding ask for it.
 *
 * @throws UserError when not even 16 rows fit a binding
 */
export function bufferStorage(rows: number, cols: number, pitch: number, maxBinding: number): BufferStorage {
  const rowBytes = pitch * 16;
  if (rows * rowBytes <= maxBinding) return { kind: "buffer", rows, cols, pitch, sliceRows: rows };
  const sliceRows = Math.floor(maxBinding / rowBytes / 16) * 16; // offsets stay multiples of 256 bytes
  if (sliceRows === 0) {
    throw new UserError(
      `a matrix has rows of ${rowBytes} bytes: 16 of them exceed the adapter's binding limit of ${maxBinding} bytes`,
      { hint: "choose a smaller vocab_size or n_embd for this adapter" },
    );
  }
  return { kind: "buffer", rows, cols, pitch, sliceRows };
}

/** Bytes that the matrix occupies. */
export function storageBytes(s: Storage): number {
  return s.kind === "texture" ? s.width * s.height * 16 : s.rows * s.pitch * 16;
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
  return Array.from({ length: bindingCount(s) }, (_, i) => ({
    buffer: at.buffer,
    offset: at.offset + i * s.sliceRows * s.pitch * 16,
    size: Math.min(s.sliceRows, s.rows - i * s.sliceRows) * s.pitch * 16,
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
  if (access === "read") {
    return `@group(0) @binding(${binding}) var ${name}: texture_storage_2d<rgba32float, read>;
fn load_${name}(row: u32, col: u32) -> vec4f { return textureLoad(${name}, ${texel}); }
`;
  }
  if (access === "add") throw new Error(`${name}: a texture cannot be added to`);
  return `@group(0) @binding(${binding}) var ${name}: texture_storage_2d<rgba32float, write>;
fn store_${name}(row: u32, col: u32, value: vec4f) { textureStore(${name}, ${texel}, value); }
`;
}

function bufferAccessor(name: string, s: BufferStorage, access: Access, binding: number, r: string): string {
  const count = bindingCount(s);
  const mode = access === "read" ? "read" : "read_write";
  const slice = (i: number) => count === 1 ? name : `${name}_${i}`;
  let text = "";
  for (let i = 0; i < count; i++) {
    text += `@group(0) @binding(${binding + i}) var<storage, ${mode}> ${slice(i)}: array<vec4f>;\n`;
  }
  const statement = (i: number, row: string) => {
    const place = `${slice(i)}[${row} * ${s.pitch}u + col]`;
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
