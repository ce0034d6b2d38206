/** What is done with a piece of text, in this thread or in a worker. */

import { CharacterCounts } from "../tokenizers/char.ts";
import { tokenizerFromJSON } from "../tokenizers/load.ts";
import { SPLIT_PATTERNS, Splitter } from "../tokenizers/split.ts";
import type { TokenizerJSON } from "../tokenizers/tokenizer.ts";
import type { BpeTraining } from "../tokenizers/train_bpe.ts";
import type { TokenArray } from "../file_tokens.ts";
import type { Piece } from "./pieces.ts";

/** What to do, as it is sent to a worker: for each kind of task its settings. */
export interface Tasks {
  /** Cut into tokens; between parts comes the separator, if there is one. */
  encode: { kind: "encode"; tokenizer: TokenizerJSON; separatorId: number | null };
  /** Count the words that a BPE is trained on. */
  words: { kind: "words"; split_pattern: keyof typeof SPLIT_PATTERNS };
  /** Count characters, by code point. */
  characters: { kind: "characters" };
}

/** A BPE to train, as it is sent to a worker. */
export interface Training {
  words: ReadonlyMap<string, number>;
  options: BpeTraining;
}

/** A piece as token ids, with its length in Unicode characters and in bytes of UTF-8. */
export interface EncodedPiece {
  ids: TokenArray;
  characters: number;
  bytes: number;
}

/** What stands in a piece, each once, and how often. */
export interface Counts<T> {
  items: T[];
  counts: number[];
}

/** What each task makes of a piece. */
export interface Results {
  encode: EncodedPiece;
  words: Counts<string>;
  characters: Counts<number>;
}

/** A task as a function of a piece. */
export function workOf<K extends keyof Tasks>(task: Tasks[K]): (piece: Piece) => Results[K] {
  return functionOf(task) as (piece: Piece) => Results[K];
}

function functionOf(task: Tasks[keyof Tasks]): (piece: Piece) => Results[keyof Results] {
  switch (task.kind) {
    case "encode":
      return encoder(task);
    case "words": {
      const splitter = new Splitter([{ pattern: SPLIT_PATTERNS[task.split_pattern] }]);
      return ({ parts }) => countWords(parts, splitter);
    }
    case "characters":
      return ({ parts }) => {
        const counts = new CharacterCounts();
        parts.forEach((part) => counts.add(part));
        const entries = counts.entries();
        return { items: entries.map(([item]) => item), counts: entries.map(([, count]) => count) };
      };
  }
}

function encoder(
  { tokenizer: json, separatorId }: Tasks["encode"],
): (piece: Piece) => EncodedPiece {
  const tokenizer = tokenizerFromJSON(json);
  const utf8 = new TextEncoder();
  return ({ parts, continues }) => {
    const rows = parts.map((part, i) => tokenizer.encode(part, { continues: continues && i === 0 }));
    const length = rows.reduce((sum, row) => sum + row.length, rows.length - 1);
    const count = separatorId === null ? length - (rows.length - 1) : length;
    const ids = tokenizer.vocab_size <= 0x10000 ? new Uint16Array(count) : new Uint32Array(count);
    let at = 0;
    rows.forEach((row, i) => {
      if (i > 0 && separatorId !== null) ids[at++] = separatorId;
      ids.set(row, at);
      at += row.length;
    });
    return {
      ids,
      characters: parts.reduce((sum, part) => sum + countCharacters(part), 0),
      bytes: parts.reduce((sum, part) => sum + utf8.encode(part).length, 0),
    };
  };
}

function countWords(parts: readonly string[], splitter: Splitter): Counts<string> {
  const words = new Map<string, number>();
  for (const part of parts) {
    splitter.forEach(part, (word) => words.set(word, (words.get(word) ?? 0) + 1));
  }
  return { items: [...words.keys()], counts: [...words.values()] };
}

/** Unicode characters of a text: surrogate pairs count once. */
export function countCharacters(text: string): number {
  return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}
