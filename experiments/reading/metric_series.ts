/** A run's metrics as series to draw and to compute with, read once or followed while the run goes on. */

import { join } from "path";
import { type JsonlRecord, userPath } from "../../common/mod.ts";
import { metricsOf } from "../tracker/metric_summary.ts";
import { BEGINNING, type Place, readAppended } from "./appended_lines.ts";

/**
 * One metric over a run: four lists of the same length, in the order in which it was measured. What was NaN or infinite, or
 * is not in the line, is NaN here, which `JSON.stringify` writes as null.
 */
export interface MetricSeries {
  step: number[];
  /** Milliseconds since 1970, as of `Date.now()`. */
  time: number[];
  /** Tokens trained on so far. */
  tokens: number[];
  value: number[];
}

/**
 * Reads a run's metrics and goes on reading as they are written.
 *
 * @example
 * ```ts
 * import { MetricsFollower } from "./metric_series.ts";
 * const dir = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${dir}/metrics.jsonl`, '{"step":1,"train_loss":4.2}\n');
 * const follower = new MetricsFollower(dir);
 * follower.read(); // { added: 1, restarted: false }
 * follower.series.get("train_loss")?.value; // [4.2]
 * follower.read(); // { added: 0, restarted: false }
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export class MetricsFollower {
  readonly #file: string;
  #place: Place = { ...BEGINNING };
  #series = new Map<string, MetricSeries>();

  /**
   * @param dir the run's folder
   * @param stream the file: what was measured of the training, or of the machine
   */
  constructor(dir: string, stream: "metrics" | "system" = "metrics") {
    this.#file = join(dir, `${stream}.jsonl`);
  }

  /** The series by name, as of the last `read`. They grow in place, and are new ones after a restart. */
  get series(): ReadonlyMap<string, MetricSeries> {
    return this.#series;
  }

  /**
   * Reads what was added since the last time.
   *
   * @returns how many lines were added, and whether all series began anew because a resumed run took lines back
   * @throws UserError if the file is there and cannot be read
   */
  read(): { added: number; restarted: boolean } {
    let added = 0;
    let restarted = false;
    const visit = (line: JsonlRecord) => {
      this.#add(line);
      added++;
    };
    this.#place = readAppended(this.#file, this.#place, visit, () => {
      this.#series = new Map();
      [added, restarted] = [0, true];
    });
    return { added, restarted };
  }

  #add(line: JsonlRecord): void {
    const step = numberOf(line.step);
    const time = typeof line.time === "string" ? Date.parse(line.time) : NaN;
    const tokens = numberOf(line.tokens);
    for (const [name, value] of metricsOf(line)) {
      let series = this.#series.get(name);
      if (series === undefined) {
        series = { step: [], time: [], tokens: [], value: [] };
        this.#series.set(name, series);
      }
      series.step.push(step);
      series.time.push(time);
      series.tokens.push(tokens);
      series.value.push(numberOf(value));
    }
  }
}

/**
 * All metrics of a run by name.
 *
 * @param run the run's folder, or its entry of `listRuns`
 * @throws UserError if its `metrics.jsonl` is there and cannot be read; without one there are no series
 *
 * @example
 * ```ts
 * import { readMetrics } from "./metric_series.ts";
 * const dir = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${dir}/metrics.jsonl`, '{"step":1,"tokens":768,"train_loss":4.2}\n');
 * const { train_loss } = readMetrics(dir); // { step: [1], time: [NaN], tokens: [768], value: [4.2] }
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export function readMetrics(run: string | { dir: string }): Record<string, MetricSeries> {
  const follower = new MetricsFollower(typeof run === "string" ? userPath(run) : run.dir);
  follower.read();
  return Object.fromEntries(follower.series);
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : NaN;
}
