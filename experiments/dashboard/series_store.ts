/** Metrics in memory: those of the runs that were asked for last, which are read on from where reading stopped. */

import { MetricsFollower } from "../reading/metric_series.ts";
import type { MetricSeries } from "../reading/metric_series.ts";

/** A number is kept in eight bytes, and a point has four of them: step, time, tokens and value. */
const BYTES_PER_POINT = 32;

/** The metrics of runs, within a bound of memory. */
export class SeriesStore {
  readonly #followers = new Map<string, MetricsFollower>();

  /** @param maxBytes what all points together may take; the file that was asked for last always stays */
  constructor(private readonly maxBytes = 16 * 2 ** 20) {}

  /**
   * The series in a file of a run as it stands now; they are valid until the next call. Throws `UserError` if it can't be
   * read; a missing file has none.
   */
  series(dir: string, stream: "metrics" | "system" = "metrics"): ReadonlyMap<string, MetricSeries> {
    const key = `${stream} ${dir}`;
    const follower = this.#followers.get(key) ?? new MetricsFollower(dir, stream);
    follower.read();
    this.#followers.delete(key); // to the end: a map keeps the order in which keys came
    this.#followers.set(key, follower);
    this.#forgetOldest(key);
    return follower.series;
  }

  #forgetOldest(kept: string): void {
    let bytes = this.#followers.values().reduce((sum, follower) => sum + bytesOf(follower), 0);
    for (const [key, follower] of this.#followers) {
      if (bytes <= this.maxBytes || key === kept) return;
      this.#followers.delete(key);
      bytes -= bytesOf(follower);
    }
  }
}

function bytesOf({ series }: MetricsFollower): number {
  return series.values().reduce((sum, { value }) => sum + value.length * BYTES_PER_POINT, 0);
}
