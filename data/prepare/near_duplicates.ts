/**
 * Finding documents that are nearly like an earlier one, by MinHash and locality-sensitive hashing (A. Broder 1997; P. Indyk
 * and R. Motwani 1998): a document is the set of its runs of five words, and how much two sets have in common (Jaccard
 * similarity) is estimated from 128 minima, had from one hash of each run (one permutation hashing, P. Li et al. 2012, empty
 * bins filled as A. Shrivastava does, 2017). Minima and the index to find candidates by are in a database on disk.
 */

import { pcg4d } from "../../common/mod.ts";
import type { DatabaseSync, StatementSync } from "sqlite";
import { openIndex } from "./repeated_lines.ts";

const MINIMA = 128;
const BANDS = 16; // of 8 minima: documents of similarity s meet in one with probability 1 - (1 - s^8)^16
const ROWS = MINIMA / BANDS;
const RUN = 5; // words
const EMPTY = 0xffffffff;

/** The documents of a corpus so far. */
export class NearDuplicates {
  private readonly database: DatabaseSync;
  private readonly addBand: StatementSync;
  private readonly findBand: StatementSync;
  private readonly addDocument: StatementSync;
  private readonly findDocument: StatementSync;
  private count = 0;

  /** @param threshold estimated similarity from which on a document counts as seen */
  constructor(folder: string, private readonly threshold: number) {
    this.database = openIndex(folder, "documents.sqlite");
    this.database.exec(
      `CREATE TABLE bands (key INTEGER, document INTEGER, PRIMARY KEY (key, document)) WITHOUT ROWID;
       CREATE TABLE documents (id INTEGER PRIMARY KEY, minima BLOB)`,
    );
    this.addBand = this.database.prepare("INSERT OR IGNORE INTO bands VALUES (?, ?)");
    this.findBand = this.database.prepare("SELECT document FROM bands WHERE key = ?");
    this.addDocument = this.database.prepare("INSERT INTO documents VALUES (?, ?)");
    this.findDocument = this.database.prepare("SELECT minima FROM documents WHERE id = ?");
  }

  /** Whether a document is like one before. If not, it is remembered. */
  seen(text: string): boolean {
    const minima = minimaOf(text);
    const keys = bandKeys(minima);
    const checked = new Set<number>();
    for (const key of keys) {
      for (const { document } of this.findBand.all(key) as { document: number }[]) {
        if (checked.has(document)) continue;
        checked.add(document);
        const { minima: bytes } = this.findDocument.get(document) as { minima: Uint8Array };
        if (similarity(minima, new Uint32Array(bytes.slice().buffer)) >= this.threshold) return true;
      }
    }
    const id = this.count++;
    this.addDocument.run(id, new Uint8Array(minima.buffer));
    for (const key of keys) this.addBand.run(key, id);
    return false;
  }

  [Symbol.dispose](): void {
    this.database.close();
  }
}

/** The least hash in each of 128 bins, over all runs of five words; words are compared without case and punctuation. */
function minimaOf(text: string): Uint32Array<ArrayBuffer> {
  const minima = new Uint32Array(MINIMA).fill(EMPTY);
  const words = Array.from(text.toLowerCase().matchAll(/[\p{L}\p{M}\p{N}]+/gu), ([word]) => hashOf(word));
  const [a, b, c, d, e] = [0, 1, 2, 3, 4];
  for (let i = 0; i < Math.max(1, words.length - RUN + 1); i++) {
    const run = pcg4d(
      words[i + a] ?? 0,
      words[i + b] ?? 0,
      words[i + c] ?? 0,
      (words[i + d] ?? 0) + Math.imul(words[i + e] ?? 0, 31),
    );
    const bin = run[0]! % MINIMA;
    minima[bin] = Math.min(minima[bin]!, run[1]! % EMPTY);
  }
  const filled = minima.slice();
  for (let bin = 0; bin < MINIMA; bin++) {
    for (let attempt = 1; filled[bin] === EMPTY; attempt++) {
      filled[bin] = minima[pcg4d(bin, attempt, 0, 0)[0]! % MINIMA]!;
    }
  }
  return filled;
}

/** 32-bit FNV-1a of a word's UTF-16 code units. */
function hashOf(word: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** A number of 53 bits for each band, from its minima. */
function bandKeys(minima: Uint32Array): number[] {
  return Array.from({ length: BANDS }, (_, band) => {
    let [high, low] = [band, 0];
    for (let i = 0; i < ROWS; i++) {
      const mixed = pcg4d(high, low, minima[band * ROWS + i]!, i);
      [high, low] = [mixed[0]!, mixed[1]!];
    }
    return (high >>> 11) * 2 ** 32 + low;
  });
}

function similarity(a: Uint32Array, b: Uint32Array): number {
  let equal = 0;
  for (let i = 0; i < MINIMA; i++) if (a[i] === b[i]) equal++;
  return equal / MINIMA;
}
