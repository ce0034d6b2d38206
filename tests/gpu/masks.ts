/** The masks of dropout computed again on the host, from the hash as it was published and nothing of the engine. */

import type { AttentionMask } from "./float64.ts";

/** What of a step a mask depends on. */
export interface MaskStep {
  seed: number;
  index: number;
}

/** Four 32-bit words from four: pcg4d of Jarzynski & Olano, "Hash Functions for GPU Rendering" (JCGT 2020). */
export function hash4(key: readonly [number, number, number, number]): [number, number, number, number] {
  const v = key.map((word) => Math.imul(word, 1664525) + 1013904223 >>> 0) as [
    number,
    number,
    number,
    number,
  ];
  const mix = () => {
    v[0] = v[0] + Math.imul(v[1], v[3]) >>> 0;
    v[1] = v[1] + Math.imul(v[2], v[0]) >>> 0;
    v[2] = v[2] + Math.imul(v[0], v[1]) >>> 0;
    v[3] = v[3] + Math.imul(v[1], v[2]) >>> 0;
  };
  mix();
  for (const i of [0, 1, 2, 3] as const) v[i] ^= v[i] >>> 16;
  mix();
  return v;
}

/** The last word of a key: the micro-batch's number under the run's seed. */
function stepWord({ seed, index }: MaskStep): number {
  return (index ^ Math.imul(seed, 2654435769)) >>> 0;
}

/** 0, or 1 / (1 - p) where the word is at least p of the way to 2^32. */
function factor(word: number, p: number): number {
  return word >= Math.round(p * 2 ** 32) ? 1 / (1 - p) : 0;
}

/** The factor of element (row, col) of an activation, col counted on the device: padding included. */
export function activationMask(
  step: MaskStep,
  site: number,
  p: number,
): (row: number, col: number) => number {
  const word = stepWord(step);
  return (row, col) => p === 0 ? 1 : factor(hash4([col >> 2, row, site, word])[col & 3]!, p);
}

/** The factors of attention weights: one word of a hash for each of four keys. */
export function attentionMask(
  step: MaskStep,
  site: number,
  p: number,
  { T, H }: { T: number; H: number },
): AttentionMask {
  const word = stepWord(step);
  return (b, h, i, j) => {
    if (p === 0) return 1;
    return factor(hash4([i * Math.ceil(T / 4) + (j >> 2), b * H + h, site, word])[j & 3]!, p);
  };
}
