/** A run's samples, events and system lines, as they stand in its files. */

import { join } from "path";
import { type JsonlRecord, userPath } from "../../common/mod.ts";
import { BEGINNING, readAppended } from "./appended_lines.ts";

/** The streams of a run that are lists of things and no series of numbers, and those that a resumed run took back. */
export type RunStream =
  | "metrics"
  | "samples"
  | "system"
  | "events"
  | "metrics.discarded"
  | "samples.discarded";

/**
 * The lines of one of a run's streams, oldest first. Lines that hold no object are passed over; without the file there
 * are none. Who follows a stream keeps the place that `readAppended` returns.
 *
 * @param run the run's folder, or its entry of `listRuns`
 * @throws UserError if the file is there and cannot be read
 *
 * @example
 * ```ts
 * import { readLines } from "./run_lines.ts";
 * const dir = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${dir}/events.jsonl`, '{"type":"checkpoint","step":500}\n{"type":"torn');
 * readLines(dir, "events"); // [{ type: "checkpoint", step: 500 }]
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export function readLines(run: string | { dir: string }, stream: RunStream): JsonlRecord[] {
  const lines: JsonlRecord[] = [];
  const dir = typeof run === "string" ? userPath(run) : run.dir;
  readAppended(join(dir, `${stream}.jsonl`), BEGINNING, (line) => lines.push(line));
  return lines;
}
