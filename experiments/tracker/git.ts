/**
 * The git commit of a work tree, read from git's own files (layout: gitrepository-layout(5)), so that no program need be
 * run. Left out: whether the tree has uncommitted changes, which only git itself can tell.
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
