/**
 * Files of a run's `artifacts/`: listed, and given as they are. Whatever they hold, a browser gets them as a thing without
 * rights: no script in it runs, and it does not belong to the dashboard's origin.
 */

import * as path from "path";
import type { Artifact } from "./api_types.ts";
import { Refusal } from "./access.ts";
import { runFile } from "./run_paths.ts";

/** More files than this are not listed. */
const MAX_LISTED = 1000;

/** A document is shown with its own styles and images, and nothing else. */
const SANDBOX =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

/** Types that are shown rather than saved, by their ending. */
const SHOWN: Record<string, string> = {
  ".csv": "text/plain; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".json": "text/plain; charset=utf-8",
  ".jsonl": "text/plain; charset=utf-8",
  ".log": "text/plain; charset=utf-8",
  ".md": "text/plain; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".yaml": "text/plain; charset=utf-8",
};

/** The files below a folder, links left out, sorted by path; none where there is no such folder. */
export async function listArtifacts(folder: string): Promise<Artifact[]> {
  const found: Artifact[] = [];
  const walk = async (below: string): Promise<void> => {
    for await (const entry of Deno.readDir(path.join(folder, below))) {
      if (entry.name.startsWith(".") || found.length >= MAX_LISTED) continue;
      const name = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory) await walk(name);
      else if (entry.isFile) {
        found.push({ path: name, bytes: (await Deno.stat(path.join(folder, name))).size });
      }
    }
  };
  try {
    await walk("");
  } catch (error) {
    // It may go, or never have been, while we look: what was found stands.
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) {
      throw error;
    }
  }
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

/**
 * One file as an answer, read while it is sent. Throws `Refusal` (404) where it is none.
 *
 * @param folder the folder that it must lie in
 * @param names the way to it from there, decoded
 */
export async function fileAnswer(folder: string, names: string[], request: Request): Promise<Response> {
  const file = await runFile(folder, ...names);
  const { isFile, size } = await Deno.stat(file);
  if (!isFile) throw new Refusal(404, "there is no such run or file here");
  const type = SHOWN[path.extname(file).toLowerCase()];
  const headers: Record<string, string> = {
    "content-type": type ?? "application/octet-stream",
    "content-length": String(size),
    "content-security-policy": SANDBOX,
    "cache-control": "no-store",
  };
  if (type === undefined) headers["content-disposition"] = "attachment";
  if (request.method === "HEAD") return new Response(null, { headers });
  const handle = await Deno.open(file);
  return new Response(handle.readable, { headers });
}
