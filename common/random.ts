/**
 * Counter-based random numbers: each is a pure function of (seed, stream, index), so any of them can be had
 * again without replaying those before it. The hash is pcg4d of M. Jarzynski and M. Olano, "Hash Functions for
 * GPU Rendering", JCGT 9(3), 2020, which also has a short WGSL form. Not for cryptography.
 */

const words = new Uint32Array(4);

/**
 * The hash pcg4d: four 32-bit words in, four well-mixed ones out.
 *
 * @param out where the four words are put; a shared array if left out, valid until the next call
 */
export function pcg4d(x: number, y: number, z: number, w: number, out: Uint32Array = words): Uint32Array {
  x = (Math.imul(x, 1664525) + 1013904223) | 0;
  y = (Math.imul(y, 1664525) + 1013904223) | 0;
  z = (Math.imul(z, 1664525) + 1013904223) | 0;
  w = (Math.imul(w, 1664525) + 1013904223) | 0;
  x = (x + Math.imul(y, w)) | 0;
  y = (y + Math.imul(z, x)) | 0;
  z = (z + Math.imul(x, y)) | 0;
  w = (w + Math.imul(y, z)) | 0;
  x ^= x >>> 16;
  y ^= y >>> 16;
  z ^= z >>> 16;
  w ^= w >>> 16;
  x = (x + Math.imul(y, w)) | 0;
  y = (y + Math.imul(z, x)) | 0;
  z = (z + Math.imul(x, y)) | 0;
  w = (w + Math.imul(y, z)) | 0;
  out[0] = x;
  out[1] = y;
  out[2] = z;
  out[3] = w;
  return out;
}

/**
 * The number of a named stream (32-bit FNV-1a of the name's UTF-16 code units), so that two uses of one seed
 * never share numbers: `streamOf("data.train")`, `streamOf("h.0.attn.c_attn.weight")`.
 */
export function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The four words at (seed, stream, index); index may be any whole number up to 2^53. */
function draw(seed: number, stream: number, index: number): Uint32Array {
  return pcg4d(seed, stream, index, Math.floor(index / 2 ** 32));
}

/** A whole number in [0, 2^32) that depends on (seed, stream, index) alone. */
export function randomUint32(seed: number, stream: number, index: number): number {
  return draw(seed, stream, index)[0]!;
}

/**
 * A number in [0, 1) with 53 random bits that depends on (seed, stream, index) alone.
 *
 * @example
 * ```ts
 * import { streamOf, uniform } from "./random.ts";
 * uniform(42, streamOf("sampling"), 7) === uniform(42, streamOf("sampling"), 7); // true, always
 * ```
 */
export function uniform(seed: number, stream: number, index: number): number {
  const [a, b] = draw(seed, stream, index);
  return ((a! >>> 5) * 2 ** 26 + (b! >>> 6)) / 2 ** 53;
}

/** A whole number in [0, limit), limit at most 2^32; uneven by less than one part in 2^21. */
export function randomInt(seed: number, stream: number, index: number, limit: number): number {
  return Math.floor(uniform(seed, stream, index) * limit);
}

/** A standard normal number (mean 0, deviation 1) by Box and Muller's transform of two uniform ones. */
export function normal(seed: number, stream: number, index: number): number {
  const [a, b, c, d] = draw(seed, stream, index);
  const u = ((a! >>> 5) * 2 ** 26 + (b! >>> 6) + 1) / 2 ** 53; // in (0, 1], so that the logarithm is finite
  const v = ((c! >>> 5) * 2 ** 26 + (d! >>> 6)) / 2 ** 53;
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
}

/** Fills `out` with normal numbers of the given mean and deviation: element i is that of index i. */
export function fillNormal(
  out: Float32Array,
  options: { seed: number; stream: number; mean?: number; std?: number },
): Float32Array {
  const { seed, stream, mean = 0, std = 1 } = options;
  for (let i = 0; i < out.length; i++) out[i] = mean + std * normal(seed, stream, i);
  return out;
}
