/** Taking back what a run wrote after the checkpoint that it goes on from. */

import * as path from "path";
import { exists, jsonlLine, JsonlWriter, readJsonl, writeFileAtomic } from "../../common/mod.ts";

/**
 * Moves the lines of `<stream>.jsonl` whose step is beyond `step` to `<stream>.discarded.jsonl` and returns how many.
 * They are copied before they are removed, so a crash in between duplicates lines and loses none.
 */
export async function discardLater(dir: string, stream: string, step: number): Promise<number> {
  const file = path.join(dir, `${stream}.jsonl`);
  if (!await exists(file)) return 0;
  const lines = await readJsonl(file);
  const isLater = (line: Record<string, unknown>) => Number(line.step) > step;
  const later = lines.filter(isLater);
  if (later.length === 0) return 0;
  using discarded = await JsonlWriter.open(path.join(dir, `${stream}.discarded.jsonl`));
  for (const line of later) discarded.append(line);
  discarded.sync();
  const kept = lines.filter((line) => !isLater(line));
  await writeFileAtomic(file, kept.map((line) => jsonlLine(line) + "\n").join(""));
  return later.length;
}
