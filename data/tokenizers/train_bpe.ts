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
  private readonly rows: Int32Array[] = []; // [words][ids], shorter with every merge
  private readonly frequencies: number[] = [];
  /** By left * ID_LIMIT + right. */
  private readonly counts = new Map<number, number>();
  /** Words that have, or had, a pair; one may be listed twice. */
  private readonly places = new Map<number, number[]>();
  /** (-count, pair) for every pair that there is, and some that are out of date: their counts have shrunk. */
  private readonly heap = new NumberPairHeap();

  constructor(words: ReadonlyMap<string, number>) {
    const idOf = new Int32Array(256);
    BYTE_ORDER.forEach((byte, id) => idOf[byte] = id);
    const encoder = new TextEncoder();
    for (const [word, frequency] of words) {
      const bytes = encoder.encode(word);
      if (bytes.length < 2) continue;
      const row = Int32Array.from(bytes, (byte) => idOf[byte]!);
      this.frequencies.push(frequency);
      this.addPairs(row, this.rows.push(row) - 1);
    }
    for (const [pair, count] of this.counts) this.heap.push(-count, pair);
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
    const words = this.places.get(pair) ?? [];
    this.places.delete(pair);
    const grown = new Set<number>();
    for (const word of words) {
      const row = this.rows[word]!;
      if (!hasPair(row, left, right)) continue; // listed twice, or gone with another merge
      this.removePairs(row, word);
      const shorter = merged(row, left, right, id);
      this.rows[word] = shorter;
      this.addPairs(shorter, word, id, grown);
    }
    this.counts.delete(pair);
    for (const each of grown) this.heap.push(-(this.counts.get(each) ?? 0), each);
  }

  private removePairs(row: Int32Array, word: number): void {
    const frequency = this.frequencies[word]!;
    for (let i = 1; i < row.length; i++) {
      const pair = row[i - 1]! * ID_LIMIT + row[i]!;
      const left = this.counts.get(pair)! - frequency;
      if (left === 0) this.counts.delete(pair);
      else this.counts.set(pair, left);
    }
  }

  /** Counts a word's pairs, and lists the word for them: for all, or for those that have a new id. */
  private addPairs(row: Int32Array, word: number, newId?: number, grown?: Set<number>): void {
    const frequency = this.frequencies[word]!;
    for (let i = 1; i < row.length; i++) {
      const pair = row[i - 1]! * ID_LIMIT + row[i]!;
      this.counts.set(pair, (this.counts.get(pair) ?? 0) + frequency);
      if (newId !== undefined && row[i - 1] !== newId && row[i] !== newId) continue;
      grown?.add(pair);
      const places = this.places.get(pair);
      if (places === undefined) this.places.set(pair, [word]);
      else if (places[places.length - 1] !== word) places.push(word);
    }
  }
}

function hasPair(row: Int32Array, left: number, right: number): boolean {
  for (let i = 1; i < row.length; i++) if (row[i - 1] === left && row[i] === right) return true;
  return false;
}

function merged(row: Int32Array, left: number, right: number, id: number): Int32Array {
  const out = new Int32Array(row.length);
  let count = 0;
  for (let i = 0; i < row.length; i++) {
    if (row[i] === left && row[i + 1] === right) {
      out[count++] = id;
      i++;
    } else out[count++] = row[i]!;
  }
  return out.slice(0, count);
}
