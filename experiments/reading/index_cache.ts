/**
 * What was read of runs at some cost, noted in `<runs>/.cache/run_index.json` for the next process. All of it can be read
 * again from the runs: the file may be deleted at any time, and failing to read or write it is no failure.
 */

import { join } from "path";
import { z } from "zod";
import { MetricsSummary } from "../tracker/metric_summary.ts";
import type { KnownRun } from "./run_entry.ts";

const VERSION = 1;

/** Fewer bytes than this are read again as fast as the note. */
const WORTH_BYTES = 1 << 20;

const cacheSchema = z.object({
  version: z.literal(VERSION),
  runs: z.array(z.tuple([
    z.string(),
    z.object({
      configStamp: z.string().optional(),
      config: z.record(z.string(), z.unknown()).optional(),
      scanned: z.object({
        place: z.object({ offset: z.number(), seam: z.string().nullable(), broken: z.number() }),
        metrics: MetricsSummary,
        changed: z.number(),
      }).optional(),
    }),
  ])),
});

/** What is noted of the runs below a folder; empty where nothing is, or in another form. */
export function loadKnown(runsDir: string): Map<string, KnownRun> {
  try {
    const noted = cacheSchema.safeParse(JSON.parse(Deno.readTextFileSync(fileOf(runsDir))));
    return new Map(noted.data?.runs as [string, KnownRun][] | undefined);
  } catch {
    return new Map();
  }
}

/**
 * Notes what is known, if getting to know it took long enough.
 *
 * @param read how many bytes were read for it
 */
export function saveKnown(runsDir: string, known: ReadonlyMap<string, KnownRun>, read: number): void {
  if (read < WORTH_BYTES) return;
  const file = fileOf(runsDir);
  const temporary = `${file}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    Deno.mkdirSync(join(runsDir, ".cache"), { recursive: true });
    Deno.writeTextFileSync(temporary, JSON.stringify({ version: VERSION, runs: [...known].flatMap(noted) }));
    Deno.renameSync(temporary, file);
  } catch {
    try {
      Deno.removeSync(temporary);
    } catch { /* it was never made */ }
  }
}

/** What is noted of a run: all but what is read again as fast. */
function noted([id, { written: _written, ...known }]: [string, KnownRun]): [string, KnownRun][] {
  return known.scanned === undefined && known.config === undefined ? [] : [[id, known]];
}

function fileOf(runsDir: string): string {
  return join(runsDir, ".cache", "run_index.json");
}
