/**
 * Training a byte-level BPE on words and how often each stands in a text (R. Sennrich et al., arXiv:1508.07909): the pair
 * of neighbours that stands there most often becomes a token, again and again.
 *
 * The result depends on the counts alone. Ties are broken thus: of equally frequent pairs the one with the smaller left id
 * is first, then the smaller right id. Ids 0 to 255 are the bytes in GPT-2's order, then come the merges in their order,
 * last `<|endoftext|>`. No two merges make the same token: between the ends of a token nothing from outside takes part, so
 * it is always made in the same way.
 * A pair that overlaps itself ("aaa") counts at every place where it begins.
 */

import { BYTE_NAMES, BYTE_ORDER } from "./bytes.ts";
import { NumberPairHeap } from "./number_pair_heap.ts";
import { SPLIT_PATTERNS } from "./split.ts";
import { type ByteLevelJson, byteLevelJson } from "./write_tokenizer_json.ts";

/** What `trainBpe` can be told. */
export interface BpeTraining {
  /** Tokens to have: 256 bytes, merges, `<|endoftext|>`. There are fewer if no more pairs are frequent enough. */
  vocab_size: number;
  /** A pair that stands there less often is not merged. @default 1 */
  min_frequency?: number;
  /** How the words were cut. @default "gpt2" */
  split_pattern?: keyof typeof SPLIT_PATTERNS;
  /** Called now and then with the tokens that there are so far. */
  onToken?: (count: number) => void;
}

/** The smallest vocabulary: bytes and `<|endoftext|>`. */
export const MIN_BPE_VOCAB = 257;

/** Ids stay below this, so that two of them make one exact number. */
const ID_LIMIT = 2 ** 22;

/**
 * Trains a tokenizer and gives it as the object that `tokenizer.json` holds.
 *
 * @param words pieces that a text is cut into, and how often each stands there
 *
 * @example
 * ```ts
 * import { trainBpe } from "./train_bpe.ts";
 * const json = trainBpe(new Map([["low", 5], [" lower", 2]]), { vocab_size: 259 });
 * json.model.merges; // [["l", "o"], ["lo", "w"]]
 * ```
 */
export function trainBpe(words: ReadonlyMap<string, number>, options: BpeTraining): ByteLevelJson {
  const { vocab_size, min_frequency = 1, split_pattern = "gpt2", onToken } = options;
  const table = new WordTable(words);
  const names = [...BYTE_NAMES]; // of each id, in printable form
  const merges: [string, string][] = [];
  while (names.length + 1 < vocab_size) {
    const pair = table.commonest(Math.max(1, min_frequency));
    if (pair === undefined) break;
    const [left, right] = [names[pair[0]]!, names[pair[1]]!];
    merges.push([left, right]);
    table.merge(pair, names.push(left + right) - 1);
    if (names.length % 1000 === 0) onToken?.(names.length);
  }
  return byteLevelJson(names, merges, [
    { type: "Split", pattern: { Regex: SPLIT_PATTERNS[split_pattern] }, behavior: "Isolated", invert: false },
    { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
  ]);
}

/** Words as rows of ids, the counts of all neighbours in them, and which words a pair is in. */
class WordTable {
  /** All rows, one after the other; a row gets shorter with every merge and leaves a gap. */
  private readonly ids: Int32Array;
  private readonly starts: Uint32Array; //      [words]
  private readonly lengths: Uint32Array; //     [words]
  private readonly frequencies: Float64Array; // [words]
  /** By left * ID_LIMIT + right. */
  private readonly counts = new Map<number, number>();
  /** Words that have, or had, a pair; one may be listed twice. */
  private readonly places = new Map<number, number[]>();
  /** (-count, pair) for every pair that there is, and some that are out of date: their counts have shrunk. */
  private readonly heap = new NumberPairHeap();

  constructor(words: ReadonlyMap<string, number>) {
    this.starts = new Uint32Array(words.size);
    this.lengths = new Uint32Array(words.size);
    this.frequencies = new Float64Array(words.size);
    this.ids = this.rowsOf(words);
    for (let word = 0; word < words.size; word++) this.addPairs(word);
    for (const [pair, count] of this.counts) this.heap.push(-count, pair);
  }

  private rowsOf(words: ReadonlyMap<string, number>): Int32Array {
    const idOf = new Int32Array(256);
    BYTE_ORDER.forEach((byte, id) => idOf[byte] = id);
    const encoder = new TextEncoder();
    let ids = new Int32Array(1024);
    let end = 0;
    let word = 0;
    for (const [text, frequency] of words) {
      const bytes = encoder.encode(text);
      if (end + bytes.length > ids.length) {
        const longer = new Int32Array(2 * (end + bytes.length));
        longer.set(ids);
        ids = longer;
      }
      this.starts[word] = end;
      this.lengths[word] = bytes.length;
      this.frequencies[word++] = frequency;
      for (const byte of bytes) ids[end++] = idOf[byte]!;
    }
    return ids;
  }

  /** The pair that stands there most often, or undefined if none does so `least` times. */
  commonest(least: number): [number, number] | undefined {
    while (this.heap.size > 0) {
      const [said, pair] = [-this.heap.topFirst, this.heap.topSecond];
      this.heap.pop();
      const count = this.counts.get(pair) ?? 0;
      if (count < least) continue;
      if (count === said) return [Math.floor(pair / ID_LIMIT), pair % ID_LIMIT];
      if (count < said) this.heap.push(-count, pair);
    }
    return undefined;
  }

  /** Makes a pair one id, from left to right in every word. */
  merge([left, right]: [number, number], id: number): void {
    const pair = left * ID_LIMIT + right;
    const grown = new Set<number>();
    for (const word of this.places.get(pair) ?? []) {
      if (!this.hasPair(word, left, right)) continue; // listed twice, or gone with another merge
      this.removePairs(word);
      this.mergeRow(word, left, right, id);
      this.addPairs(word, id, grown);
    }
    this.places.delete(pair);
    for (const each of grown) this.heap.push(-(this.counts.get(each) ?? 0), each);
  }

  private hasPair(word: number, left: number, right: number): boolean {
    const { ids } = this;
    const start = this.starts[word]!;
    for (let i = start + 1; i < start + this.lengths[word]!; i++) {
      if (ids[i - 1] === left && ids[i] === right) return true;
    }
    return false;
  }

  private mergeRow(word: number, left: number, right: number, id: number): void {
    const { ids } = this;
    const start = this.starts[word]!;
    const end = start + this.lengths[word]!;
    let out = start;
    for (let i = start; i < end; i++) {
      if (ids[i] === left && i + 1 < end && ids[i + 1] === right) {
        ids[out++] = id;
        i++;
      } else ids[out++] = ids[i]!;
    }
    this.lengths[word] = out - start;
  }

  private removePairs(word: number): void {
    const { ids, counts } = this;
    const [start, frequency] = [this.starts[word]!, this.frequencies[word]!];
    for (let i = start + 1; i < start + this.lengths[word]!; i++) {
      const pair = ids[i - 1]! * ID_LIMIT + ids[i]!;
      const rest = counts.get(pair)! - frequency;
      if (rest === 0) counts.delete(pair);
      else counts.set(pair, rest);
    }
  }

  /** Counts a word's pairs, and lists the word for them: for all, or for those that have a new id. */
  private addPairs(word: number, newId?: number, grown?: Set<number>): void {
    const { ids, counts, places } = this;
    const [start, frequency] = [this.starts[word]!, this.frequencies[word]!];
    for (let i = start + 1; i < start + this.lengths[word]!; i++) {
      const [left, right] = [ids[i - 1]!, ids[i]!];
      const pair = left * ID_LIMIT + right;
      counts.set(pair, (counts.get(pair) ?? 0) + frequency);
      if (newId !== undefined && left !== newId && right !== newId) continue;
      grown?.add(pair);
      const listed = places.get(pair);
      if (listed === undefined) places.set(pair, [word]);
      else if (listed[listed.length - 1] !== word) listed.push(word);
    }
  }
}
