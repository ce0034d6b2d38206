/** Texts of a Parquet file's column, a row group at a time, through hyparquet. */

import {
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { UserError } from "../../common/mod.ts";
import { fileName } from "./byte_stream.ts";
import { fieldHint, type ReadOptions } from "./options.ts";

/**
 * The texts of a column, row by row. Throws `UserError` that names file and row if the file is no Parquet, has no such
 * column, or the column is not text.
 */
export async function* parquetTexts(
  file: string | URL,
  { text_field, onRead = () => {} }: ReadOptions,
): AsyncGenerator<string> {
  const path = typeof file === "string" ? file : decodeURIComponent(file.pathname);
  const fault = (message: string, hint: string, cause?: unknown) =>
    new UserError(message, { file: fileName(file), hint, ...(cause === undefined ? {} : { cause }) });
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw fault(`${what}: ${why}`, "the file may be cut off or of another format; get it again", cause);
    }
  };
  const buffer = await attempt("cannot be read", () => asyncBufferFromFile(path));
  const metadata: FileMetaData = await attempt("is not Parquet", () => parquetMetadataAsync(buffer));
  const columns = parquetSchema(metadata).children.map((child) => child.element.name);
  if (!columns.includes(text_field)) {
    throw fault(`has no column "${text_field}"`, fieldHint(text_field, columns));
  }
  let row = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = row + Number(group.num_rows);
    const rows = await attempt(
      `rows ${row} to ${rowEnd - 1} cannot be read`,
      () =>
        parquetReadObjects({
          file: buffer,
          metadata,
          columns: [text_field],
          rowStart: row,
          rowEnd,
          compressors,
        }),
    );
    for (const each of rows) {
      const text: unknown = each[text_field];
      if (typeof text !== "string") {
        throw fault(
          `row ${row}: the column "${text_field}" is not text but ${show(text)}`,
          fieldHint(text_field, columns),
        );
      }
      yield text;
      row++;
    }
    onRead(Math.round(buffer.byteLength / metadata.row_groups.length));
  }
}

function show(value: unknown): string {
  return typeof value === "object" && value !== null ? "a nested value" : String(value).slice(0, 40);
}
