/** The index by which the gradient of an embedding is summed without atomics: places sorted by token. */

/** Length of `tokenIndex` for `count` tokens. */
export function tokenIndexLength(count: number): number {
  return 2 * count + 2;
}

/**
 * Sorts the places 0 … N-1 by the token that stands there, stably, by counting.
 *
 * @returns `[distinct tokens, N places, N + 1 starts]`: the places of the k-th distinct token are
 * `places[starts[k]] … places[starts[k + 1] - 1]`
 *
 * @example
 * ```ts
 * import { tokenIndex } from "./token_index.ts";
 * console.log(tokenIndex(new Uint32Array([7, 2, 7]), 8)); // [2, 1, 0, 2, 0, 1, 3, 0]
 * ```
 */
export function tokenIndex(tokens: Uint32Array, vocabulary: number): Uint32Array<ArrayBuffer> {
  const index = new Uint32Array(tokenIndexLength(tokens.length));
  const places = index.subarray(1, 1 + tokens.length);
  const starts = index.subarray(1 + tokens.length);
  const next = new Uint32Array(vocabulary + 1);
  for (const token of tokens) next[token + 1]!++;
  let distinct = 0;
  for (let token = 0; token < vocabulary; token++) {
    if (next[token + 1]! > 0) starts[distinct++] = next[token]!;
    next[token + 1]! += next[token]!;
  }
  starts[distinct] = tokens.length;
  tokens.forEach((token, place) => places[next[token]!++] = place);
  index[0] = distinct;
  return index;
}
