/**
 * Where a set of reference vectors is read from: a folder of the user's, or the set `one-batch` that the program carries
 * inside (`reference_one_batch.json`, made from `tests/reference/one-batch` by `scripts/embed_reference.ts`), so that a
 * single binary can check itself. What the files mean is in `reference_set.ts`.
 */

import { basename, join } from "path";
import { displayPath, exists, fileError, readJson, UserError } from "../common/mod.ts";
import { openSafetensors, parseSafetensors, type SafetensorsFile } from "../models/mod.ts";
import oneBatch from "./reference_one_batch.json" with { type: "json" };

/** The files of one set. */
export interface ReferenceFiles {
  /** The set's name: that of its folder. */
  readonly name: string;
  /** Names of the files there are. */
  readonly files: ReadonlySet<string>;
  /** A file's name for messages. */
  place(file: string): string;
  /** A JSON file's value. Throws `UserError` when it is missing or damaged. */
  json(file: string): Promise<unknown>;
  /** Opens a safetensors file; the caller closes it. Throws `UserError` when it is missing or damaged. */
  safetensors(file: string): SafetensorsFile;
}

/** What makes a folder a set. */
const MARKS = ["meta.json", "losses.json"];

/** The set that the program carries inside. */
export function embeddedReference(): ReferenceFiles {
  const content: Record<string, unknown> = oneBatch;
  const place = (file: string) => `one-batch (built in)/${file}`;
  return {
    name: "one-batch",
    files: new Set(Object.keys(content)),
    place,
    json: (file) => Promise.resolve(content[file]),
    safetensors: (file) => parseSafetensors(Uint8Array.fromBase64(content[file] as string), place(file)),
  };
}

/**
 * The sets of a folder: the folder itself when it holds `meta.json` or `losses.json`, else the folders in it that do.
 *
 * @param dir absolute path
 * @throws UserError when there is no set.
 */
export async function referenceFolders(dir: string): Promise<ReferenceFiles[]> {
  const file = displayPath(dir);
  const expected = "expected a folder with meta.json or losses.json, or one of such folders";
  if (!await exists(dir)) throw new UserError("does not exist", { file, hint: expected });
  const own = await namesIn(dir);
  if (holdsSet(own)) return [folder(dir, own)];
  const sets: ReferenceFiles[] = [];
  for (const name of [...own].sort()) {
    const below = join(dir, name);
    if (!(await Deno.stat(below)).isDirectory) continue;
    const names = await namesIn(below);
    if (holdsSet(names)) sets.push(folder(below, names));
  }
  if (sets.length === 0) throw new UserError("holds no reference vectors", { file, hint: expected });
  return sets;
}

function folder(dir: string, files: Set<string>): ReferenceFiles {
  return {
    name: basename(dir),
    files,
    place: (file) => displayPath(join(dir, file)),
    json: (file) => readJson(join(dir, file)),
    safetensors: (file) => openSafetensors(join(dir, file)),
  };
}

function holdsSet(names: Set<string>): boolean {
  return MARKS.some((mark) => names.has(mark));
}

async function namesIn(dir: string): Promise<Set<string>> {
  try {
    return new Set((await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name));
  } catch (error) {
    throw fileError(error, dir);
  }
}
