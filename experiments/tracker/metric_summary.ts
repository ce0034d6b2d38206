/**
 * What a list of runs needs to know of `metrics.jsonl`, kept while lines pass by: the last, least and largest value of
 * every metric. A run that ends writes it into `run.json`, so that a thousand runs can be listed without reading their
 * lines; `bytes` tells whether it still belongs to the file beside it.
 */

import { z } from "zod";
import type { JsonlRecord } from "../../common/mod.ts";

/** One metric over a run. A value that was NaN or infinite counts, as null; it is never the least or the largest. */
export const MetricSummary = z.object({
  last: z.number().nullable(),
  last_step: z.number().nullable(),
  min: z.number().nullable(),
  min_step: z.number().nullable(),
  max: z.number().nullable(),
  max_step: z.number().nullable(),
  /** How many lines hold the metric. */
  count: z.number(),
});

/** One metric over a run. */
export type MetricSummary = z.output<typeof MetricSummary>;

/** All metrics of a run. */
export const MetricsSummary = z.object({
  /** Size of the `metrics.jsonl` that was summed up. */
  bytes: z.number(),
  lines: z.number(),
  /** Of the last line that has them. */
  step: z.number().nullable(),
  tokens: z.number().nullable(),
  time: z.string().nullable(),
  by_name: z.record(z.string(), MetricSummary),
});

/** All metrics of a run. */
export type MetricsSummary = z.output<typeof MetricsSummary>;

/** Keys of a line that say when it was measured, and are no metrics. */
export const LINE_KEYS: readonly string[] = ["step", "time", "tokens"];

/** The metrics of a line by name, null where one was not finite. What is neither a number nor null is no metric. */
export function metricsOf(line: JsonlRecord): [string, number | null][] {
  const isMetric = (entry: [string, unknown]): entry is [string, number | null] =>
    !LINE_KEYS.includes(entry[0]) && (typeof entry[1] === "number" || entry[1] === null);
  return Object.entries(line).filter(isMetric);
}

/**
 * Sums up lines of `metrics.jsonl` one by one.
 *
 * @example
 * ```ts
 * import { MetricSummaries } from "./metric_summary.ts";
 * const summaries = new MetricSummaries();
 * summaries.add({ step: 1, train_loss: 4.2 });
 * summaries.add({ step: 2, train_loss: 4.5 });
 * summaries.summary(60).by_name.train_loss; // { last: 4.5, last_step: 2, min: 4.2, min_step: 1, max: 4.5, … }
 * ```
 */
export class MetricSummaries {
  readonly #byName: Map<string, MetricSummary>;
  #lines: number;
  #step: number | null;
  #tokens: number | null;
  #time: string | null;

  /** @param before a summary to go on from; nothing when left out */
  constructor(before?: MetricsSummary) {
    this.#byName = new Map(Object.entries(structuredClone(before?.by_name ?? {})));
    this.#lines = before?.lines ?? 0;
    this.#step = before?.step ?? null;
    this.#tokens = before?.tokens ?? null;
    this.#time = before?.time ?? null;
  }

  /** Adds a line. */
  add(line: JsonlRecord): void {
    this.#lines++;
    const step = numberOrNull(line.step);
    this.#step = step ?? this.#step;
    this.#tokens = numberOrNull(line.tokens) ?? this.#tokens;
    if (typeof line.time === "string") this.#time = line.time;
    for (const [name, value] of metricsOf(line)) this.#addValue(name, numberOrNull(value), step);
  }

  #addValue(name: string, value: number | null, step: number | null): void {
    const all = this.#byName.get(name);
    if (all === undefined) {
      const least = { min: value, min_step: value === null ? null : step };
      const largest = { max: value, max_step: value === null ? null : step };
      this.#byName.set(name, { last: value, last_step: step, ...least, ...largest, count: 1 });
      return;
    }
    all.last = value;
    all.last_step = step;
    all.count++;
    if (value === null) return;
    if (all.min === null || value < all.min) [all.min, all.min_step] = [value, step];
    if (all.max === null || value > all.max) [all.max, all.max_step] = [value, step];
  }

  /** What has been added so far. @param bytes the size of the file that it was added from */
  summary(bytes: number): MetricsSummary {
    return {
      bytes,
      lines: this.#lines,
      step: this.#step,
      tokens: this.#tokens,
      time: this.#time,
      by_name: Object.fromEntries(this.#byName),
    };
  }
}

function numberOrNull(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
