/**
 * Append-only JSON Lines: one object a line. A crash loses at most the line that was being written, and such a
 * torn last line is dropped on reading. Form: https://jsonlines.org. Left out: rotation and compression.
 */

import * as nodePath from "path";
import { UserError } from "./errors.ts";
import { displayPath, fileError, makeFolder } from "./files.ts";

/** One line's object. */
export type JsonlRecord = Record<string, unknown>;

/**
 * The line of an object, without its end. NaN and Infinity, which JSON lacks, become null.
 * (`JSON.stringify` does so by itself; this is the one place that relies on it.)
 */
export function jsonlLine(record: JsonlRecord): string {
  return JSON.stringify(record);
}

/**
 * Appends objects to a JSON Lines file; every append is one write that the system keeps even if this process
 * is killed right after. Opening mends a torn last line that a crash left behind.
 *
 * @example
 * ```ts
 * import { JsonlWriter, readJsonl } from "./jsonl.ts";
 * const folder = await Deno.makeTempDir();
 * const writer = await JsonlWriter.open(`${folder}/metrics.jsonl`);
 * writer.append({ step: 1, train_loss: 4.2 });
 * writer.append({ step: 2, train_loss: NaN });
 * writer.close();
 * await readJsonl(`${folder}/metrics.jsonl`); // [{ step: 1, train_loss: 4.2 }, { step: 2, train_loss: null }]
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class JsonlWriter {
  private constructor(readonly path: string, private readonly file: Deno.FsFile) {}

  /** Opens or makes the file (and its folder). Throws `UserError` if that cannot be. */
  static async open(path: string): Promise<JsonlWriter> {
    await makeFolder(nodePath.dirname(path));
    try {
      const file = await Deno.open(path, { read: true, write: true, create: true });
      mendTail(file);
      return new JsonlWriter(path, file);
    } catch (error) {
      throw fileError(error, path, "write");
    }
  }

  /** Appends one object. On a full disk the half-written line is taken back and `UserError` thrown. */
  append(record: JsonlRecord): void {
    const bytes = new TextEncoder().encode(jsonlLine(record) + "\n");
    const end = this.file.seekSync(0, Deno.SeekMode.End);
    try {
      for (let done = 0; done < bytes.length;) done += this.file.writeSync(bytes.subarray(done));
    } catch (error) {
      try {
        this.file.truncateSync(end);
      } catch { /* what cannot be shortened (a device) keeps its torn line, which readers drop */ }
      throw fileError(error, this.path, "write");
    }
  }

  /** Waits until all lines are on the disk, so that they survive a power cut too. */
  sync(): void {
    this.file.syncSync();
  }

  /** Closes the file; no append after this. */
  close(): void {
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Makes the file end with a whole line: ends a last line that is a whole object, cuts off one that is torn. */
function mendTail(file: Deno.FsFile): void {
  const size = file.seekSync(0, Deno.SeekMode.End);
  if (size === 0) return;
  let tail = new Uint8Array(0);
  let start = size;
  while (start > 0 && tail.lastIndexOf(10) < 0) { // read backwards until a line's end (10 is "\n") is in sight
    start = Math.max(0, start - 4096 - tail.length);
    tail = new Uint8Array(size - start);
    file.seekSync(start, Deno.SeekMode.Start);
    for (let done = 0; done < tail.length;) done += file.readSync(tail.subarray(done)) ?? tail.length;
  }
  const torn = tail.subarray(tail.lastIndexOf(10) + 1);
  if (torn.length === 0) return;
  if (jsonlRecord(new TextDecoder().decode(torn)) !== undefined) {
    file.seekSync(0, Deno.SeekMode.End);
    file.writeSync(new Uint8Array([10]));
  } else {
    file.truncateSync(size - torn.length);
  }
}

/**
 * The objects of JSON Lines text. A last line that is no whole object is torn and dropped; empty lines are
 * skipped; a broken line before the last is a `UserError` that names it.
 *
 * @param file the name that an error gives
 */
export function parseJsonl(text: string, file: string): JsonlRecord[] {
  const records: JsonlRecord[] = [];
  const lines = text.split("\n");
  const last = lines.length - 1; // holds "" when the text ends with a whole line
  lines.forEach((line, i) => {
    if (line.trim() === "") return;
    const record = jsonlRecord(line);
    if (record !== undefined) records.push(record);
    else if (i !== last) {
      throw new UserError("is not a JSON object", { file, line: i + 1, hint: "mend or remove that line" });
    }
  });
  return records;
}

/** Reads a JSON Lines file by the rules of `parseJsonl`. Throws `UserError` if it is missing or broken. */
export async function readJsonl(path: string): Promise<JsonlRecord[]> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw fileError(error, path);
  }
  // Not strict about UTF-8: a line torn inside a character is dropped like any other torn line.
  return parseJsonl(new TextDecoder().decode(bytes), displayPath(path));
}

/** A line's object, or undefined if the line is anything else. */
export function jsonlRecord(line: string): JsonlRecord | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as JsonlRecord
      : undefined;
  } catch {
    return undefined;
  }
}
