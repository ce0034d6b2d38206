/**
 * What adds up over a run's readings: energy, the most memory. A run that goes on adds to what its lines say already, so
 * the energy of work that was taken back counts: it was spent.
 */

import type { Reading } from "./reading.ts";

/** A line of `system.jsonl` but for step and time. */
export interface SystemLine extends Reading {
  /** Energy since the run began, in all processes that trained it. */
  gpu_energy_joules?: number;
  cpu_energy_joules?: number;
  /** Seconds of processor time that the look has taken, at most. */
  monitor_seconds: number;
}

/** The fields of a line, each a number or absent. */
export const SYSTEM_FIELDS = [
  "process_rss_bytes",
  "process_heap_bytes",
  "process_cpu_percent",
  "cpu_percent",
  "cpu_temperature_celsius",
  "cpu_power_watts",
  "cpu_energy_joules",
  "memory_total_bytes",
  "memory_available_bytes",
  "disk_total_bytes",
  "disk_available_bytes",
  "gpu_utilization_percent",
  "gpu_memory_used_bytes",
  "gpu_memory_total_bytes",
  "gpu_power_watts",
  "gpu_energy_joules",
  "gpu_temperature_celsius",
  "monitor_seconds",
] as const satisfies readonly (keyof SystemLine)[];

/** What draws power. */
const CONSUMERS = ["gpu", "cpu"] as const;

/** Whose most is told, by the name that it has in the summary. */
const PEAKS = {
  process_rss_bytes: "process_rss_peak_bytes",
  gpu_memory_used_bytes: "gpu_memory_used_peak_bytes",
} as const;

/** Sums and peaks of one run. */
export class SystemTotals {
  readonly #meters: Record<typeof CONSUMERS[number], EnergyMeter>;
  readonly #peaks = new Map<keyof typeof PEAKS, number>();

  /**
   * Goes on from what was written before.
   *
   * @param earlier the run's lines so far
   * @param now seconds on the clock that all times are given by
   */
  constructor(earlier: readonly Record<string, unknown>[], now: number) {
    const last = (key: string) => {
      const joules = earlier.findLast((line) => typeof line[key] === "number")?.[key];
      return new EnergyMeter(joules as number | undefined, now);
    };
    this.#meters = { gpu: last("gpu_energy_joules"), cpu: last("cpu_energy_joules") };
    for (const line of earlier) this.#raise(line as Reading);
  }

  /** Takes in a reading and gives the line that is to be written. */
  add(reading: Reading, now: number, cost: number): SystemLine {
    this.#raise(reading);
    const line: SystemLine = { ...reading, monitor_seconds: cost };
    for (const consumer of CONSUMERS) {
      const joules = this.#meters[consumer].add(reading[`${consumer}_power_watts`], now);
      if (joules !== undefined) line[`${consumer}_energy_joules`] = joules;
    }
    return line;
  }

  #raise(reading: Reading): void {
    for (const key of Object.keys(PEAKS) as (keyof typeof PEAKS)[]) {
      const value = reading[key];
      if (typeof value === "number") this.#peaks.set(key, Math.max(value, this.#peaks.get(key) ?? value));
    }
  }

  /**
   * What the run's summary tells.
   *
   * @param now the run's end
   * @param tokens that it has trained on in all
   */
  summary(now: number, tokens: number | undefined): Record<string, number> {
    const told: Record<string, number> = {};
    for (const [key, value] of this.#peaks) told[PEAKS[key]] = value;
    for (const consumer of CONSUMERS) {
      const joules = this.#meters[consumer].end(now);
      if (joules === undefined) continue;
      told[`${consumer}_energy_joules`] = joules;
      if (tokens) told[`${consumer}_energy_joules_per_million_tokens`] = joules / tokens * 1e6;
    }
    return told;
  }
}

/**
 * Energy from power that is looked at now and then: between two looks the mean of both, after the last one what that was.
 * A stretch whose power is not known at both ends counts by the end that is.
 */
class EnergyMeter {
  #joules: number | undefined;
  #watts: number | undefined;
  #since: number;

  constructor(joules: number | undefined, now: number) {
    this.#joules = joules;
    this.#since = now;
  }

  /** Takes in the power at a time; gives the energy until then, undefined while no power was ever known. */
  add(watts: number | undefined, now: number): number | undefined {
    const ends = [this.#watts, watts].filter((known) => known !== undefined);
    if (ends.length > 0) {
      const mean = ends.reduce((sum, known) => sum + known, 0) / ends.length;
      this.#joules = (this.#joules ?? 0) + mean * (now - this.#since);
    }
    [this.#watts, this.#since] = [watts, now];
    return this.#joules;
  }

  /** The energy until the end. */
  end(now: number): number | undefined {
    return this.add(this.#watts, now);
  }
}
