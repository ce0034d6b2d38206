/**
 * Reading a JSON Lines file while another process appends to it: what was added since the last time, and a fresh start
 * when the file was replaced. Tolerant where the trainer's own reading is strict: a line that is no object is passed
 * over and counted, wherever it stands, so that a damaged run is still shown.
 */

import { type JsonlRecord, jsonlRecord } from "../../common/mod.ts";
import { readSome } from "./read_file.ts";

/** How far a file has been read. */
export interface Place {
  /** Bytes read. */
  offset: number;
  /**
   * The last bytes before `offset`, in hexadecimal: they tell a file that grew from one that was replaced. Null where that
   * does not matter, such as when reading begins in the middle.
   */
  seam: string | null;
  /** Lines passed over since they hold no JSON object. */
  broken: number;
}

/** Where reading begins. */
export const BEGINNING: Readonly<Place> = { offset: 0, seam: "", broken: 0 };

const SEAM_BYTES = 48;
const CHUNK_BYTES = 1 << 18;
const LINE_END = 10;

/**
 * Gives `visit` the objects that stand in the file beyond `from`, oldest first. A torn last line is left for the next
 * time. If the file no longer holds what was read before (a resumed run took lines back), `restart` is called and all is
 * read from the beginning.
 *
 * @returns where to read on
 * @throws UserError if the file is there and cannot be read; a missing one is empty
 */
export function readAppended(
  file: string,
  from: Readonly<Place>,
  visit: (record: JsonlRecord) => void,
  restart: () => void = () => {},
): Place {
  return readSome(file, { ...BEGINNING }, (handle) => {
    const size = handle.statSync().size;
    let place = { ...from };
    if (place.seam !== null && !isAt(handle, place)) {
      place = { ...BEGINNING };
      restart();
    }
    let rest = new Uint8Array(0);
    let at = place.offset;
    while (at < size) {
      const buffer = new Uint8Array(rest.length + Math.min(CHUNK_BYTES, size - at));
      buffer.set(rest);
      const read = readFully(handle, at, buffer.subarray(rest.length));
      if (read === 0) break; // it was cut off meanwhile
      at += read;
      const bytes = buffer.subarray(0, rest.length + read);
      const whole = bytes.lastIndexOf(LINE_END) + 1;
      place.broken += visitLines(bytes.subarray(0, whole), visit);
      rest = bytes.slice(whole);
    }
    // A whole object without its line's end is all there.
    if (rest.length > 0 && visitLines(rest, visit) === 0) rest = new Uint8Array(0);
    place.offset = at - rest.length;
    place.seam = seamBefore(handle, place.offset);
    return place;
  });
}

/** Visits the objects of some lines and returns how many lines hold none. */
function visitLines(bytes: Uint8Array, visit: (record: JsonlRecord) => void): number {
  const text = new TextDecoder().decode(bytes);
  const records = recordsAtOnce(text);
  if (records !== undefined) {
    records.forEach(visit);
    return 0;
  }
  let broken = 0;
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const record = jsonlRecord(line);
    if (record === undefined) broken++;
    else visit(record);
  }
  return broken;
}

/**
 * The objects of lines that are all in order, parsed as one list, which takes half the time; undefined where any line may
 * not be. A line without `},{` holds one object at most, so as many objects as lines mean one in each.
 */
function recordsAtOnce(text: string): JsonlRecord[] | undefined {
  const lines = text.trimEnd();
  if (/\}\s*,\s*\{/.test(lines)) return undefined;
  try {
    const values: unknown[] = JSON.parse(`[${lines.replaceAll("\n", ",")}]`);
    const isInOrder = values.length === lines.split("\n").length && values.every(isRecord);
    return isInOrder ? values as JsonlRecord[] : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is JsonlRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isAt(handle: Deno.FsFile, { offset, seam }: Place): boolean {
  return handle.statSync().size >= offset && seamBefore(handle, offset) === seam;
}

function seamBefore(handle: Deno.FsFile, offset: number): string {
  const bytes = new Uint8Array(Math.min(SEAM_BYTES, offset));
  return bytes.subarray(0, readFully(handle, offset - bytes.length, bytes)).toHex();
}

/** Reads from a position until the buffer is full or the file ends; returns how many bytes it read. */
function readFully(handle: Deno.FsFile, position: number, buffer: Uint8Array): number {
  handle.seekSync(position, Deno.SeekMode.Start);
  let done = 0;
  while (done < buffer.length) {
    const read = handle.readSync(buffer.subarray(done));
    if (read === null) break;
    done += read;
  }
  return done;
}
