/**
 * How many steps to hand to the device before its results are read: reading waits for the device, so seldom; but what
 * is handed over cannot be called back, so never more than half a second's work. Also the clock of the training rate.
 */

/** Work that may be on the device at once, in seconds. */
const SECONDS_AHEAD = 0.5;

/** Measures steps and says how many may be ahead. */
export class Pace {
  /** Seconds per step at the last reading. */
  secondsPerStep = Infinity;
  #since = 0;
  readonly #most: number;
  readonly #now: () => number;

  /** @param most largest number of steps between two readings, at least 1 */
  constructor(most: number, now: () => number = () => performance.now()) {
    this.#most = most;
    this.#now = now;
  }

  /** The device begins to work on steps after a pause. */
  start(): void {
    this.#since = this.#now();
  }

  /** The device has just done `steps` steps. */
  measure(steps: number): void {
    const now = this.#now();
    this.secondsPerStep = (now - this.#since) / 1000 / steps;
    this.#since = now;
  }

  /** Steps until the next reading: one at first. */
  get stepsAhead(): number {
    return Math.max(1, Math.min(this.#most, Math.floor(SECONDS_AHEAD / this.secondsPerStep)));
  }
}
