/**
 * Numbers in a shuffled order, each found on its own: a Feistel network of four rounds with counter-based random numbers
 * is a permutation of 2^(2k) numbers, and what falls outside is put through it again (cycle walking; J. Black and
 * P. Rogaway, CT-RSA 2002). No list of what was drawn has to be kept.
 */

import { randomUint32 } from "../common/mod.ts";

const ROUNDS = 4;

/**
 * The number at a place of a shuffled 0 ... size - 1; a pure function of what is given.
 *
 * @param round which shuffling, such as an epoch
 *
 * @example
 * ```ts
 * import { shuffled } from "./permutation.ts";
 * [0, 1, 2, 3].map((place) => shuffled(place, 4, { seed: 1, stream: 7, round: 0 })).sort(); // [0, 1, 2, 3]
 * ```
 */
export function shuffled(
  place: number,
  size: number,
  { seed, stream, round }: { seed: number; stream: number; round: number },
): number {
  let half = 2; // 2^bits, the numbers that half of the digits can say
  while (half * half < size) half *= 2;
  let number = place;
  do {
    let left = Math.floor(number / half);
    let right = number % half;
    for (let i = 0; i < ROUNDS; i++) {
      const mixed = randomUint32(seed, stream, (round * ROUNDS + i) * half + right) % half;
      [left, right] = [right, (left + mixed) % half];
    }
    number = left * half + right;
  } while (number >= size);
  return number;
}
