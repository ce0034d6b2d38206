/**
 * Leaving out lines that stood before anywhere in the corpus: page heads, credits, licence notices. Short lines stay, since
 * people repeat themselves. Lines are known by 64 bits of their SHA-256, in an index on disk.
 */

import * as nodePath from "path";
import { createHash } from "crypto";
import { DatabaseSync, type StatementSync } from "sqlite";

/** Opens an index that lives no longer than the work: nothing of it need survive a crash. */
export function openIndex(folder: string, name: string): DatabaseSync {
  const database = new DatabaseSync(nodePath.join(folder, name));
  database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000; BEGIN");
  return database;
}

/** The lines of a corpus so far. */
export class RepeatedLines {
  private readonly database: DatabaseSync;
  private readonly insert: StatementSync;

  /** @param min_chars lines of fewer UTF-16 code units, without white space around them, are not looked at */
  constructor(folder: string, private readonly min_chars: number) {
    this.database = openIndex(folder, "lines.sqlite");
    this.database.exec("CREATE TABLE lines (hash INTEGER PRIMARY KEY)");
    this.insert = this.database.prepare("INSERT OR IGNORE INTO lines VALUES (?)");
  }

  /** A text without the lines that stood before, and how many those were. */
  drop(text: string): { text: string; dropped: number } {
    const lines = text.split("\n");
    const kept = lines.filter((line) => !this.seen(line.trim()));
    return { text: kept.join("\n"), dropped: lines.length - kept.length };
  }

  private seen(line: string): boolean {
    if (line.length < this.min_chars) return false;
    const hash = createHash("sha256").update(line).digest().readBigInt64LE();
    return this.insert.run(hash).changes === 0;
  }

  [Symbol.dispose](): void {
    this.database.close();
  }
}
