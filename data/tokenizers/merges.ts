/**
 * Byte pair merging: of all neighbours in a row of ids, the pair of lowest rank becomes one id, the leftmost first, until
 * no pair has a rank (P. Gage 1994; R. Sennrich et al., arXiv:1508.07909). A heap finds the next pair, so a row of n ids
 * takes O(n log n) and a text without a single space does no harm.
 */

import { NumberPairHeap } from "./number_pair_heap.ts";

/** Which neighbours merge, in which order, into what. */
export class Merges {
  private readonly heap = new NumberPairHeap();
  private next = new Int32Array(64);
  private previous = new Int32Array(64);
  /** Rank of the pair that begins at a place; -1 for none. What the heap says otherwise is out of date. */
  private rankAt = new Int32Array(64);

  /**
   * @param ranks by `left * size + right`, a rank
   * @param results the id that a pair of a rank becomes
   * @param size more than any id
   */
  constructor(
    private readonly ranks: ReadonlyMap<number, number>,
    private readonly results: ArrayLike<number>,
    private readonly size: number,
  ) {}

  /**
   * Merges within `ids[0 ... length)` and puts what is left at its front.
   *
   * @param limit only pairs of a lower rank merge
   * @returns how many ids are left
   */
  apply(ids: Int32Array, length: number, limit = Infinity): number {
    if (length < 2) return length;
    if (length > this.next.length) this.grow(length);
    const { heap, next, previous, rankAt, results } = this;
    heap.clear();
    for (let i = 0; i < length; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
      this.look(ids, i, length, limit);
    }
    while (heap.size > 0) {
      const rank = heap.topFirst;
      const at = heap.topSecond;
      heap.pop();
      if (rankAt[at] !== rank) continue;
      const right = next[at]!;
      const after = next[right]!;
      ids[at] = results[rank]!;
      rankAt[right] = -1; // the right one is gone
      next[at] = after;
      if (after < length) previous[after] = at;
      this.look(ids, at, length, limit);
      if (previous[at]! >= 0) this.look(ids, previous[at]!, length, limit);
    }
    let count = 0;
    for (let i = 0; i < length; i = next[i]!) ids[count++] = ids[i]!;
    return count;
  }

  /** Notes the rank of the pair that begins at a place. */
  private look(ids: Int32Array, at: number, length: number, limit: number): void {
    const right = this.next[at]!;
    const rank = right < length ? this.ranks.get(ids[at]! * this.size + ids[right]!) : undefined;
    if (rank === undefined || rank >= limit) {
      this.rankAt[at] = -1;
    } else {
      this.rankAt[at] = rank;
      this.heap.push(rank, at);
    }
  }

  private grow(length: number): void {
    this.next = new Int32Array(2 * length);
    this.previous = new Int32Array(2 * length);
    this.rankAt = new Int32Array(2 * length);
  }
}
