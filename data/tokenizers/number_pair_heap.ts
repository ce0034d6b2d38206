/** A binary heap of pairs of numbers: the smallest first number comes out first, among equals the smallest second. */

/** A heap that reuses its memory. */
export class NumberPairHeap {
  private first = new Float64Array(64);
  private second = new Float64Array(64);
  private count = 0;

  /** How many pairs are in it. */
  get size(): number {
    return this.count;
  }

  /** First number of the smallest pair; NaN of an empty heap. */
  get topFirst(): number {
    return this.count === 0 ? NaN : this.first[0]!;
  }

  /** Second number of the smallest pair; NaN of an empty heap. */
  get topSecond(): number {
    return this.count === 0 ? NaN : this.second[0]!;
  }

  /** Takes everything out. */
  clear(): void {
    this.count = 0;
  }

  /** Puts a pair in. */
  push(a: number, b: number): void {
    if (this.count === this.first.length) this.grow();
    const { first, second } = this;
    let at = this.count++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (first[parent]! < a || first[parent] === a && second[parent]! <= b) break;
      first[at] = first[parent]!;
      second[at] = second[parent]!;
      at = parent;
    }
    first[at] = a;
    second[at] = b;
  }

  /** Takes the smallest pair out. */
  pop(): void {
    if (this.count === 0) return;
    const { first, second } = this;
    const count = --this.count;
    const a = first[count]!;
    const b = second[count]!;
    let at = 0;
    for (let child = 1; child < count; child = 2 * at + 1) {
      if (
        child + 1 < count &&
        (first[child + 1]! < first[child]! ||
          first[child + 1] === first[child] && second[child + 1]! < second[child]!)
      ) child++;
      if (a < first[child]! || a === first[child] && b <= second[child]!) break;
      first[at] = first[child]!;
      second[at] = second[child]!;
      at = child;
    }
    first[at] = a;
    second[at] = b;
  }

  private grow(): void {
    const first = new Float64Array(2 * this.count);
    const second = new Float64Array(2 * this.count);
    first.set(this.first);
    second.set(this.second);
    this.first = first;
    this.second = second;
  }
}
