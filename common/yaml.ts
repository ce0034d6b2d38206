/**
 * YAML 1.2 with places: every value knows the line it came from, so that an error about it can say so.
 */

import { isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { UserError } from "./errors.ts";
import { displayPath, readText } from "./files.ts";

/** Where in a document a value stands: keys and list indices from the top. */
export type YamlPath = readonly PropertyKey[];

/** A parsed YAML file. */
export interface YamlFile {
  /** The file's name as errors give it. */
  file: string;
  /** The plain value; an empty file is an empty object. */
  value: unknown;
  /** The line, from 1, of the key or item at a path; of the nearest one above it if there is none such. */
  lineOf(path: YamlPath): number | undefined;
}

/**
 * Parses YAML text. Syntax errors and a key given twice throw `UserError` with the line.
 *
 * @param file the name that errors give
 *
 * @example
 * ```ts
 * import { parseYaml } from "./yaml.ts";
 * const { value, lineOf } = parseYaml("model:\n  n_embd: 128\n", "mine.yaml");
 * console.log(value, lineOf(["model", "n_embd"])); // { model: { n_embd: 128 } } 2
 * ```
 */
export function parseYaml(text: string, file: string): YamlFile {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const error = document.errors[0];
  if (error !== undefined) {
    throw new UserError(
      error.code === "DUPLICATE_KEY" ? "the same key is given twice" : `is not valid YAML: ${error.message}`,
      {
        file,
        line: lineCounter.linePos(error.pos[0]).line,
        hint: error.code === "DUPLICATE_KEY"
          ? "keep one of the two"
          : "check the indentation and the colons around that line",
        cause: error,
      },
    );
  }
  const lineOf = (path: YamlPath): number | undefined => {
    let node: unknown = document.contents;
    let offset: number | undefined = rangeStart(node);
    for (const key of path) {
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
        if (pair === undefined) break;
        offset = rangeStart(pair.key) ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        const item = node.items[Number(key)];
        if (item === undefined) break;
        offset = rangeStart(item) ?? offset;
        node = item;
      } else break;
    }
    return offset === undefined ? undefined : lineCounter.linePos(offset).line;
  };
  return { file, value: document.toJS() ?? {}, lineOf };
}

/** Reads and parses a YAML file; throws `UserError` if it is missing, unreadable or broken. */
export async function parseYamlFile(path: string): Promise<YamlFile> {
  return parseYaml(await readText(path), displayPath(path));
}

/** Where a node begins in the text, as a character offset. */
function rangeStart(node: unknown): number | undefined {
  const range = (node as { range?: [number, number, number] | null } | null)?.range;
  return range?.[0];
}
