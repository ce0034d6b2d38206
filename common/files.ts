/**
 * Files that are whole or not there: written under a temporary name, synced, then renamed. Failures of the
 * system (no such file, no permission, a full disk) become one line that says what to do.
 * Left out: locking; two processes that write the same path both succeed and the later one wins.
 */

import * as nodePath from "path";
import { UserError, type UserErrorPlace } from "./errors.ts";

/**
 * The absolute form of a path that a user typed: relative ones start where the user stands, which inside a
 * `deno task` is `INIT_CWD` and not the repository's root.
 *
 * @example
 * ```ts
 * import { userPath } from "./files.ts";
 * userPath("runs"); // "<where the user stands>/runs"
 * ```
 */
export function userPath(path: string): string {
  return nodePath.resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), path);
}

/** A path as the user would type it: relative to where they stand if it lies below, else absolute. */
export function displayPath(path: string): string {
  const relative = nodePath.relative(userPath("."), userPath(path));
  if (relative === "") return ".";
  return relative.startsWith("..") || nodePath.isAbsolute(relative) ? userPath(path) : relative;
}

/** Whether anything (file, folder, device) stands at this path. Throws `UserError` if that may not be known. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw fileError(error, path);
  }
}

const DISK_FULL = "the disk is full";

/** Whether an error, or a line that tells of one, is about a full disk. Errors pass between threads as text, so the text decides. */
export function tellsOfFullDisk(told: unknown): boolean {
  return (told instanceof Error ? told.message : String(told)).includes(DISK_FULL);
}

/**
 * Turns what the system said about a file into a `UserError`; anything that is not about files comes back as
 * it was. Use as `throw fileError(error, path)`.
 *
 * @param action what was being done, for the message: `read`, `write`
 */
export function fileError(error: unknown, path: string, action: "read" | "write" = "read"): unknown {
  if (error instanceof UserError || !(error instanceof Error)) return error;
  const file = displayPath(path);
  const told = (message: string, hint: string) => new UserError(message, { file, hint, cause: error });
  switch (errorCode(error)) {
    case "ENOENT":
      return action === "read"
        ? told("no such file or folder", "check the path; relative paths start in the current folder")
        : told(
          "cannot be written: its folder does not exist",
          "make the folder first or choose another path",
        );
    case "EACCES":
    case "EPERM":
      return told(`no permission to ${action} here`, "change the permissions or choose another path");
    case "NOTCAPABLE":
      return told(
        `Deno was not allowed to ${action} here`,
        `start with --allow-${action} for this path, or use a task of deno.json`,
      );
    case "EROFS":
      return told("the file system is read-only", "choose another path");
    case "ENOSPC":
    case "EDQUOT":
      return told(
        DISK_FULL,
        "free some space or choose a path on another disk; nothing was replaced",
      );
    case "ENOTDIR":
      return told("a file stands where a folder should be", "move that file away or choose another path");
    case "EEXIST":
      return told("something of that name is already there", "move it away or choose another path");
    case "EISDIR":
      return told("is a folder where a file is wanted", "give the path of a file");
    case "ENAMETOOLONG":
      return told("the name is too long for this file system", "choose a shorter name");
    case "EMFILE":
      return told("too many open files", "raise the limit (ulimit -n) or close other programs");
    default:
      return error;
  }
}

/** The system's code of an error: Node's `code` where there is one, else by Deno's error class. */
function errorCode(error: Error): string | undefined {
  if ("code" in error && typeof error.code === "string") return error.code;
  const classes: [new () => Error, string][] = [
    [Deno.errors.NotFound, "ENOENT"],
    [Deno.errors.PermissionDenied, "EACCES"],
    [Deno.errors.NotCapable, "NOTCAPABLE"],
    [Deno.errors.NotADirectory, "ENOTDIR"],
    [Deno.errors.AlreadyExists, "EEXIST"],
    [Deno.errors.IsADirectory, "EISDIR"],
  ];
  return classes.find(([type]) => error instanceof type)?.[1];
}

/** Makes a folder and those above it. Throws `UserError`, among others when a file stands in the way. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    // With `recursive`, "already exists" means that what exists is no folder.
    if (error instanceof Deno.errors.AlreadyExists) {
      throw fileError(new Deno.errors.NotADirectory(error.message, { cause: error }), path, "write");
    }
    throw fileError(error, path, "write");
  }
}

/**
 * Writes a file so that at every moment either the old content or all of the new stands there, also after a
 * power cut: temporary file in the same folder, `fsync`, rename. Makes missing folders.
 * Throws `UserError` for a full disk, a missing permission, a file in place of a folder.
 *
 * @example
 * ```ts
 * import { writeFileAtomic } from "./files.ts";
 * const folder = await Deno.makeTempDir();
 * await writeFileAtomic(`${folder}/notes/state.json`, JSON.stringify({ step: 500 }));
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  await makeFolder(nodePath.dirname(path));
  const temporary = temporaryName(path);
  try {
    await writeAndSync(temporary, content);
    await Deno.rename(temporary, path);
    await syncFolder(nodePath.dirname(path));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw fileError(error, path, "write");
  }
}

/** Writes a file and waits until it is on the disk. Not atomic: for files of a folder that is renamed later. */
export async function writeFileSynced(path: string, content: Uint8Array | string): Promise<void> {
  try {
    await writeAndSync(path, content);
  } catch (error) {
    throw fileError(error, path, "write");
  }
}

async function writeAndSync(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
  await file.sync();
}

/**
 * Writes a whole folder atomically: `fill` gets a temporary folder beside `path` (same disk) and puts files
 * into it, preferably by `writeFileSynced`; then it takes the place of `path`, replacing what stood there.
 * If `fill` throws, nothing is left behind and the old folder is untouched.
 */
export async function writeFolderAtomic(
  path: string,
  fill: (temporary: string) => Promise<void>,
): Promise<void> {
  const parent = nodePath.dirname(path);
  await makeFolder(parent);
  const temporary = temporaryName(path);
  const old = temporaryName(path);
  try {
    await Deno.mkdir(temporary);
    await fill(temporary);
    await syncFolder(temporary);
    await takePlace(temporary, path, old);
    await syncFolder(parent);
    await Deno.remove(old, { recursive: true }).catch(() => {});
  } catch (error) {
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
    if (error instanceof UserError && error.file?.startsWith(displayPath(temporary))) {
      const file = displayPath(path) + error.file.slice(displayPath(temporary).length); // the name that was meant
      throw new UserError(error.message, { ...error, file } as UserErrorPlace);
    }
    throw fileError(error, path, "write");
  }
}

/**
 * Renames a folder onto a path. One that is not empty cannot be renamed onto: what stands there steps aside
 * first; another process that does the same at the same moment makes us try again.
 */
async function takePlace(folder: string, path: string, aside: string): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      if (await exists(path)) await Deno.rename(path, aside);
      await Deno.rename(folder, path);
      return;
    } catch (error) {
      // What stepped aside comes back, unless another process has put its own there meanwhile.
      await Deno.rename(aside, path).catch(() => Deno.remove(aside, { recursive: true })).catch(() => {});
      if (attempt === 3) throw error;
    }
  }
}

/** A hidden name beside `path` that no other writer uses. */
function temporaryName(path: string): string {
  return nodePath.join(
    nodePath.dirname(path),
    `.${nodePath.basename(path).slice(0, 100)}.${crypto.randomUUID().slice(0, 8)}.tmp`,
  );
}

/** Puts a folder's entries on the disk, so that a rename survives a power cut. Windows has no such call. */
async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await folder.sync();
}

/** The text of a UTF-8 file. Throws `UserError` if it is missing, unreadable or not UTF-8. */
export async function readText(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw fileError(error, path);
  }
  return decodeUtf8(bytes, displayPath(path));
}

/**
 * Decodes UTF-8 and drops a byte order mark. Throws `UserError` that names the line of the first bad byte.
 *
 * @param file the name that an error gives
 */
export function decodeUtf8(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    // Replacement characters that the bytes do not spell out mark the first bad byte.
    const good = new TextDecoder().decode(bytes).split("\uFFFD")[0] ?? "";
    throw new UserError("is not UTF-8 text", {
      file,
      line: good.split("\n").length,
      hint: "save the file as UTF-8 (for example: iconv -f latin1 -t utf-8 in.txt > out.txt)",
      cause: error,
    });
  }
}

/** A JSON file's value. Throws `UserError` with the line if it is missing or not JSON. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const position = /position (\d+)/.exec(message)?.[1];
    throw new UserError(`is not valid JSON: ${message.replace(/ in JSON at position.*| \(line.*/s, "")}`, {
      file: displayPath(path),
      line: position === undefined
        ? text.trimEnd().split("\n").length
        : text.slice(0, Number(position)).split("\n").length,
      hint: "the file may be cut off or edited by hand; restore it",
      cause: error,
    });
  }
}
