/**
 * What git knows of a work tree. The commit is read from git's own files (layout: gitrepository-layout(5)), so that no
 * program need be run; whether the tree has changes, which only git itself can tell, is asked of it where it may be run.
 */

import * as path from "path";

/**
 * The commit that is checked out in the folder or one above it, or null where there is none.
 *
 * @example
 * ```ts
 * import { gitCommit } from "./git.ts";
 * console.log(gitCommit(".")); // "105e757…" or null
 * ```
 */
export function gitCommit(folder: string): string | null {
  const gitDir = findGitDir(path.resolve(folder));
  const head = gitDir && text(path.join(gitDir, "HEAD"));
  if (!head) return null;
  if (!head.startsWith("ref: ")) return head;
  const ref = head.slice("ref: ".length);
  // A linked work tree has a HEAD of its own, and shares the branches with its main repository.
  const common = text(path.join(gitDir, "commondir"));
  const shared = common === null ? gitDir : path.resolve(gitDir, common);
  return text(path.join(shared, ref)) ?? packedRef(shared, ref);
}

/** Where git is installed, on Linux and macOS; the tasks of `deno.json` may run it there. */
const GIT = "/usr/bin/git";

/** Longer than this a run does not wait for git. */
const GIT_MS = 3000;

/**
 * Whether the work tree has changes that are not committed, files that git does not know among them. Null where there is
 * no work tree or no git, where git may not be run, or when it takes more than 3 s.
 */
export async function gitIsDirty(folder: string): Promise<boolean | null> {
  if (gitCommit(folder) === null) return null;
  try {
    const { success, stdout } = await new Deno.Command(GIT, {
      // No lock that a git command of the user's might find, and no program that the repository's settings name.
      args: ["--no-optional-locks", "-c", "core.fsmonitor=false", "status", "--porcelain"],
      cwd: folder,
      stderr: "null",
      signal: AbortSignal.timeout(GIT_MS),
    }).output();
    return success ? stdout.length > 0 : null;
  } catch {
    return null; // not here, or not allowed
  }
}

function findGitDir(folder: string): string | null {
  for (let here = folder;; here = path.dirname(here)) {
    const git = path.join(here, ".git");
    if (text(path.join(git, "HEAD")) !== null) return git;
    const link = text(git); // in a linked work tree .git is a file: "gitdir: <path>"
    if (link?.startsWith("gitdir: ")) return path.resolve(here, link.slice("gitdir: ".length));
    if (path.dirname(here) === here) return null;
  }
}

function packedRef(gitDir: string, ref: string): string | null {
  const line = text(path.join(gitDir, "packed-refs"))?.split("\n").find((l) => l.endsWith(` ${ref}`));
  return line?.split(" ")[0] ?? null;
}

/** A small file's text without its end of line; null if it cannot be read for whatever reason. */
function text(file: string): string | null {
  try {
    return Deno.readTextFileSync(file).trimEnd();
  } catch {
    return null;
  }
}
