/**
 * The monitor of a run: looks at the machine every so many seconds and writes down what it saw. It works on the thread
 * that the run's files are written on, between whatever else happens there, so a step on the device is never part of it.
 *
 * It may cost a hundredth of the time at most: what a look has cost is measured, and the next one waits a hundred times as
 * long, however short the interval. Nothing that goes wrong in it reaches the run.
 */

import { hostSource } from "./host.ts";
import { nvidiaSource } from "./nvidia.ts";
import type { Reading, Source } from "./reading.ts";
import { sysfsSource } from "./sysfs.ts";
import { type SystemLine, SystemTotals } from "./totals.ts";

/** Part of the time that looking may take. */
const SHARE = 0.01;

/** What a monitor looks at and whom it tells. */
export interface MonitorOptions {
  /** Seconds from one look to the next. */
  interval: number;
  sources: Source[];
  /** Lines that the run wrote before it went on, oldest first. @default none */
  earlier?: readonly Record<string, unknown>[];
  write: (line: SystemLine) => void;
  /** Seconds on a clock that never goes back. @default the process's */
  clock?: () => number;
  /** Calls back after some milliseconds, unless what it returns is called before. @default a timer that keeps no process alive */
  schedule?: (look: () => Promise<void>, milliseconds: number) => () => void;
}

/**
 * All sources of this machine for a run on an adapter.
 *
 * @param adapter the adapter's name, by which its card is found
 * @param folder the run's folder, whose disk counts
 */
export function machineSources(adapter: string, folder: string): Source[] {
  return [hostSource(folder), nvidiaSource(adapter), sysfsSource(adapter)].filter((s) => s !== undefined);
}

/** Seconds to wait after a look that cost so many. */
export function pauseAfter(cost: number, interval: number): number {
  return Math.max(interval, cost / SHARE);
}

/** Looks at the machine while a run goes on. */
export class Monitor {
  readonly #o: MonitorOptions;
  readonly #clock: () => number;
  readonly #totals: SystemTotals;
  /** The least seconds that each source has taken: more is waiting for a turn, not work. */
  readonly #costs: number[];
  #cancel = () => {};
  #hasEnded = false;

  constructor(options: MonitorOptions) {
    this.#o = options;
    this.#clock = options.clock ?? (() => performance.now() / 1000);
    this.#totals = new SystemTotals(options.earlier ?? [], this.#clock());
    this.#costs = options.sources.map(() => Infinity);
  }

  /** Takes the first look, and has the others taken. */
  async begin(): Promise<void> {
    const reading = await this.#read();
    if (this.#hasEnded) return;
    const cost = this.#costs.reduce((sum, seconds) => sum + seconds, 0);
    this.#o.write(this.#totals.add(reading, this.#clock(), cost));
    const schedule = this.#o.schedule ?? later;
    this.#cancel = schedule(() => this.begin(), 1000 * pauseAfter(cost, this.#o.interval));
  }

  async #read(): Promise<Reading> {
    const reading: Reading = {};
    for (const [i, source] of this.#o.sources.entries()) {
      const before = this.#clock();
      try {
        Object.assign(reading, await source());
      } catch { /* absent */ }
      this.#costs[i] = Math.min(this.#costs[i]!, this.#clock() - before);
    }
    return reading;
  }

  /**
   * Ends the looking.
   *
   * @param tokens that the run has trained on in all
   * @returns what the run's summary tells of the machine
   */
  end(tokens: number | undefined): Record<string, number> {
    this.#hasEnded = true;
    this.#cancel();
    return this.#totals.summary(this.#clock(), tokens);
  }
}

function later(look: () => Promise<void>, milliseconds: number): () => void {
  const timer = setTimeout(look, milliseconds);
  Deno.unrefTimer(timer);
  return () => clearTimeout(timer);
}
