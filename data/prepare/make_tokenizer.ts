/** Tokenizers that are made from the corpus: its characters, or a byte-level BPE trained on it. */

import type { DataConfig } from "../config.ts";
import { CharTokenizer } from "../tokenizers/char.ts";
import { tokenizerFromJSON } from "../tokenizers/load.ts";
import { END_OF_TEXT, type Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Piece } from "./pieces.ts";
import { Pool, trainInThread } from "./pool.ts";
import type { Progressed, TextStream } from "./text_stream.ts";
import type { Counts } from "./work.ts";

/** Different words that are counted at once; when there are more, the rarest are forgotten. */
const MAX_WORDS = 250_000;

/** Makes the tokenizer `char` or `bpe` that a config asks for. */
export async function makeTokenizer(
  text: TextStream,
  config: DataConfig,
  threads: number,
  progress: (stage: Progressed["stage"]) => (bytes: number) => void,
): Promise<Tokenizer> {
  const { min_frequency, max_vocab_size, vocab_size, split_pattern } = config;
  const separator = config.tokenizer === "bpe" && config.separator === END_OF_TEXT ? null : config.separator;
  const all = text.pieces({ separator, onRead: progress("vocabulary") });
  if (config.tokenizer === "char") {
    using pool = new Pool<"characters">({ kind: "characters" }, threads);
    const counts = await summed(pool.map(all));
    return CharTokenizer.fromCounts(counts, { min_frequency, max_vocab_size: max_vocab_size ?? Infinity });
  }
  const words = await countWords(all, split_pattern, threads); // its threads are gone before training begins
  const tokenizer = await trainInThread(
    { words, options: { vocab_size, min_frequency, split_pattern } },
    threads,
  );
  return tokenizerFromJSON({ kind: "bpe", tokenizer });
}

async function countWords(
  all: AsyncIterable<Piece>,
  split_pattern: DataConfig["split_pattern"],
  threads: number,
): Promise<Map<string, number>> {
  using pool = new Pool<"words">({ kind: "words", split_pattern }, threads);
  return await summed(pool.map(all), MAX_WORDS);
}

/**
 * Counts added up. When more than `most` different things were counted, those that stood there once are forgotten, then
 * twice, and so on, until half of the room is free ("lossy counting", G. Manku and R. Motwani, VLDB 2002).
 */
async function summed<T>(all: AsyncIterable<Counts<T>>, most = Infinity): Promise<Map<T, number>> {
  const sums = new Map<T, number>();
  for await (const { items, counts } of all) {
    items.forEach((item, i) => sums.set(item, (sums.get(item) ?? 0) + counts[i]!));
    for (let least = 2; sums.size > most; least++) {
      for (const [item, sum] of sums) if (sum < least) sums.delete(item);
      if (sums.size < most / 2) break;
    }
  }
  return sums;
}
