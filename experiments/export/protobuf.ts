/**
 * Writing Protocol Buffers messages (encoding: protobuf.dev/programming-guides/encoding), as much of it as TensorBoard's
 * events need.
 */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A message that grows field by field. */
export class Message {
  readonly #parts: Uint8Array[] = [];

  /** A `double`. */
  double(field: number, value: number): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    return this.#put(field, FIXED64, bytes);
  }

  /** A `float`. */
  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#put(field, FIXED32, bytes);
  }

  /** An `int64`, `int32` or `enum`, rounded to a whole number. */
  integer(field: number, value: number): this {
    return this.#put(field, VARINT, varint(BigInt.asUintN(64, BigInt(Math.round(value)))));
  }

  /** A `string`, `bytes`, or a message of its own. */
  bytes(field: number, value: string | Uint8Array | Message): this {
    const bytes = typeof value === "string"
      ? new TextEncoder().encode(value)
      : value instanceof Message
      ? value.encoded()
      : value;
    return this.#put(field, BYTES, varint(BigInt(bytes.length)), bytes);
  }

  /** The message's bytes. */
  encoded(): Uint8Array {
    return concat(this.#parts);
  }

  #put(field: number, type: number, ...parts: Uint8Array[]): this {
    this.#parts.push(varint(BigInt(field * 8 + type)), ...parts);
    return this;
  }
}

/** Seven bits a byte, the lowest first; the eighth says that more follow. */
function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (; value > 127n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
  return Uint8Array.from([...bytes, Number(value)]);
}

/** Bytes in a row. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
