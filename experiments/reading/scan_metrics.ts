/** The summary of a run's metrics: what `run.json` says where that still holds, and else from the lines themselves. */

import type { JsonlRecord } from "../../common/mod.ts";
import { type MetricsSummary, MetricSummaries } from "../tracker/metric_summary.ts";
import { BEGINNING, type Place, readAppended } from "./appended_lines.ts";

/** How far `metrics.jsonl` was read, and what came of it. */
export interface ScannedMetrics {
  place: Place;
  metrics: MetricsSummary;
  /** The file's time of change in milliseconds, beside its size in `metrics.bytes`. */
  changed: number;
}

/** A file of at most this size is read whole in any case. */
const TAIL_BYTES = 1 << 16;

/** A file that changed less than this before it was read may have changed again in the same tick of the clock. */
const SETTLED_MS = 2000;

/**
 * Sums up a `metrics.jsonl`, reading as little as will do.
 *
 * @param known where what was read before is kept; updated
 * @param written what the run itself noted when it ended
 * @param tailOnly of a longer file that is not known yet, read the end alone
 */
export function scanMetrics(
  file: string,
  known: { scanned?: ScannedMetrics },
  written: MetricsSummary | undefined,
  tailOnly: boolean,
): { metrics: MetricsSummary; broken: number; partial: boolean } {
  const { size, changed } = sizeOf(file);
  if (written !== undefined && written.bytes === size) return { metrics: written, broken: 0, partial: false };
  const before = known.scanned;
  if (before === undefined && tailOnly && size > TAIL_BYTES) {
    const { metrics } = scan(file, { offset: size - TAIL_BYTES, seam: null, broken: 0 }, undefined, size);
    return { metrics, broken: 0, partial: true };
  }
  if (before?.metrics.bytes !== size || before.changed !== changed || Date.now() - changed < SETTLED_MS) {
    known.scanned = { ...scan(file, before?.place ?? BEGINNING, before?.metrics, size), changed };
  }
  const { place, metrics } = known.scanned!;
  return { metrics, broken: place.broken, partial: false };
}

function scan(
  file: string,
  from: Readonly<Place>,
  before: MetricsSummary | undefined,
  size: number,
): { place: Place; metrics: MetricsSummary } {
  let summaries = new MetricSummaries(before);
  const place = readAppended(
    file,
    from,
    (line: JsonlRecord) => summaries.add(line),
    () => summaries = new MetricSummaries(),
  );
  return { place, metrics: summaries.summary(size) };
}

/** Size in bytes and time of change; nothing where there is no file. */
function sizeOf(file: string): { size: number; changed: number } {
  try {
    const { size, mtime } = Deno.statSync(file);
    return { size, changed: mtime?.getTime() ?? 0 };
  } catch {
    return { size: 0, changed: 0 };
  }
}
