/** Between a matrix as people store it, row after row without padding, and as the device holds it (see `graph.ts`). */

import { type Axis, logicalLength, physicalLength } from "./graph.ts";

/** Elements of a matrix: float32, or codes of 8 bits. */
export type Elements = Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

/** An array of the same type. */
type Alike<E> = E extends Float32Array ? Float32Array<ArrayBuffer> : Uint8Array<ArrayBuffer>;

function zeros<E extends Float32Array | Uint8Array>(like: E, length: number): Alike<E> {
  return (like instanceof Float32Array ? new Float32Array(length) : new Uint8Array(length)) as Alike<E>;
}

/** Calls `visit(logical index, physical index)` for every run of `size` consecutive elements of an axis. */
function runs(a: Axis, visit: (logical: number, physical: number) => void): void {
  const stride = Math.ceil(a.size / a.multiple) * a.multiple;
  for (let g = 0; g < a.groups; g++) visit(g * a.size, g * stride);
}

/**
 * Pads a matrix for the device.
 *
 * @param data logical elements, `[rows, cols]`
 * @param pitch floats from one physical row to the next
 * @returns physical elements, `[physicalLength(rows), pitch]`, zeros between
 */
export function packMatrix<E extends Float32Array | Uint8Array>(
  data: E,
  rows: Axis,
  cols: Axis,
  pitch: number,
): Alike<E> {
  const width = logicalLength(cols);
  const packed = zeros(data, physicalLength(rows) * pitch);
  eachRun(rows, cols, width, pitch, (from, to, length) => packed.set(data.subarray(from, from + length), to));
  return packed;
}

/** The inverse of `packMatrix`: drops the padding. */
export function unpackMatrix<E extends Float32Array | Uint8Array>(
  packed: E,
  rows: Axis,
  cols: Axis,
  pitch: number,
): Alike<E> {
  const width = logicalLength(cols);
  const data = zeros(packed, logicalLength(rows) * width);
  eachRun(rows, cols, width, pitch, (to, from, length) => data.set(packed.subarray(from, from + length), to));
  return data;
}

function eachRun(
  rows: Axis,
  cols: Axis,
  width: number,
  pitch: number,
  visit: (logical: number, physical: number, length: number) => void,
): void {
  runs(rows, (logicalRow, physicalRow) => {
    for (let i = 0; i < rows.size; i++) {
      runs(cols, (logicalCol, physicalCol) => {
        visit((logicalRow + i) * width + logicalCol, (physicalRow + i) * pitch + physicalCol, cols.size);
      });
    }
  });
}
