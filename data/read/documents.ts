/**
 * Documents of files: a text file is one document, a line of JSON Lines and a row of Parquet are one each. Long documents
 * come in fragments of whole lines, so that none must fit into memory.
 */

import { decodeUtf8, UserError } from "../../common/mod.ts";
import { fileBytes, fileName, lineBlocks } from "./byte_stream.ts";
import { fieldHint, type ReadOptions } from "./options.ts";
import { parquetTexts } from "./parquet.ts";

/** A part of a document. */
export interface Fragment {
  text: string;
  /** Whether the document ends with it. */
  ends: boolean;
}

/** Files that can be read, by how their names end. */
export const READABLE = /\.(txt|jsonl|ndjson|parquet)$|\.(txt|jsonl|ndjson)\.gz$/i;

const LONGEST_TEXT_LINE = 4 << 20; //   bytes; longer ones are cut
const LONGEST_JSON_LINE = 256 << 20; // bytes; longer ones are errors

/** The documents of a file; of a name that ends in nothing known it is read as plain text. Throws `UserError`. */
export async function* documents(file: string | URL, options: ReadOptions): AsyncGenerator<Fragment> {
  const name = typeof file === "string" ? file : file.pathname;
  if (/\.parquet$/i.test(name)) {
    for await (const text of parquetTexts(file, options)) yield { text, ends: true };
  } else if (/\.(jsonl|ndjson)(\.gz)?$/i.test(name)) {
    yield* jsonlDocuments(file, options);
  } else {
    yield* textDocument(file, options);
  }
}

async function* textDocument(file: string | URL, { onRead }: ReadOptions): AsyncGenerator<Fragment> {
  for await (const { bytes, line } of lineBlocks(fileBytes(file, onRead), LONGEST_TEXT_LINE)) {
    yield { text: decode(bytes, line, file), ends: false };
  }
  yield { text: "", ends: true };
}

async function* jsonlDocuments(file: string | URL, options: ReadOptions): AsyncGenerator<Fragment> {
  const { text_field, onRead } = options;
  const tooLong = (line: number): never => {
    throw new UserError(`has a line longer than ${LONGEST_JSON_LINE >> 20} MiB`, {
      file: fileName(file),
      line,
      hint: "put each document on a line of its own",
    });
  };
  for await (const block of lineBlocks(fileBytes(file, onRead), LONGEST_JSON_LINE, tooLong)) {
    let line = block.line;
    for (const json of decode(block.bytes, line, file).split("\n")) {
      if (json.trim() !== "") yield { text: textOf(json, text_field, file, line), ends: true };
      line++;
    }
  }
}

/** The text that a line's object holds. */
function textOf(json: string, field: string, file: string | URL, line: number): string {
  const fault = (message: string, hint: string, cause?: unknown) =>
    new UserError(message, { file: fileName(file), line, hint, ...(cause === undefined ? {} : { cause }) });
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw fault("is not JSON", "mend or remove that line; each must be one whole JSON object", cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw fault("is not a JSON object", `each line must be an object such as {"${field}": "…"}`);
  }
  const text = Object.hasOwn(value, field) ? (value as Record<string, unknown>)[field] : undefined;
  if (typeof text === "string") return text;
  const keys = Object.keys(value);
  throw text === undefined ? fault(`has no key "${field}"`, fieldHint(field, keys)) : fault(
    `its key "${field}" is not text but ${JSON.stringify(text).slice(0, 40)}`,
    fieldHint(field, keys),
  );
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of a block of lines; only at the file's beginning is a byte order mark dropped. */
function decode(bytes: Uint8Array, line: number, file: string | URL): string {
  try {
    const text = decoder.decode(bytes);
    return line === 1 && text.startsWith("\uFEFF") ? text.slice(1) : text;
  } catch {
    try {
      return decodeUtf8(bytes, fileName(file)); // finds the line
    } catch (error) {
      if (!(error instanceof UserError) || error.line === undefined) throw error;
      throw new UserError(error.message, {
        file: fileName(file),
        line: line - 1 + error.line,
        hint: error.hint ?? "",
        cause: error,
      });
    }
  }
}
