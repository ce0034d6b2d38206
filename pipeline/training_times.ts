/**
 * Where a training's time goes. What the host waits for is measured always: batches, evaluations, samples, checkpoints. What
 * the device does within a step is known where its timestamps measure: then a step now and then is timed, and those since
 * then count like it.
 */

import { z } from "zod";
import type { StepSeconds } from "../gpu/mod.ts";

const seconds = z.number().min(0);

/** Schema of the times of a run so far, as a checkpoint's state holds them: seconds, over all processes that trained it. */
export const timesSchema = z.strictObject({
  /** From the trainer's start to its end, with all that stands between steps. */
  total: seconds,
  /** Making batches, which the host does while the device works on earlier steps. */
  data: seconds,
  evaluation: seconds,
  sampling: seconds,
  checkpoints: seconds,
  /** The device's part of steps, null where its timestamps do not measure. */
  forward: seconds.nullable(),
  backward: seconds.nullable(),
  optimizer: seconds.nullable(),
});

/** The times of a run so far. */
export type Times = z.output<typeof timesSchema>;

/** The times that a run begins with. */
export const NO_TIMES: Times = {
  total: 0,
  data: 0,
  evaluation: 0,
  sampling: 0,
  checkpoints: 0,
  forward: null,
  backward: null,
  optimizer: null,
};

/** A run's times as its summary tells them: what is not known is absent. */
export type TrainingSeconds =
  & Pick<Times, "total" | "data" | "evaluation" | "sampling" | "checkpoints">
  & Partial<StepSeconds>
  & {
    /** Steps from handing over the first to the results of the last; `data`, `forward`, `backward`, `optimizer` are parts. */
    steps: number;
  };

/** Adds up times. */
export class TrainingTimes {
  readonly #times: Times;
  readonly #clock: () => number;
  #since: number;
  /** The device's seconds of the last step that was timed. */
  #device: StepSeconds | undefined;

  /**
   * Goes on from the times of a run so far.
   *
   * @param clock milliseconds @default the process's
   */
  constructor(times: Times, clock: () => number = () => performance.now()) {
    this.#times = { ...times };
    this.#clock = clock;
    this.#since = clock();
  }

  /** Does something and counts its time. */
  async spend<T>(part: "evaluation" | "sampling" | "checkpoints", work: () => Promise<T>): Promise<T> {
    const begin = this.#clock();
    try {
      return await work();
    } finally {
      this.#times[part] += (this.#clock() - begin) / 1000;
    }
  }

  /** Makes batches and counts the time. */
  prepare<T>(work: () => T): T {
    const begin = this.#clock();
    const made = work();
    this.#times.data += (this.#clock() - begin) / 1000;
    return made;
  }

  /** Takes in how long the device was on a step. */
  timed(device: StepSeconds): void {
    this.#device = device;
  }

  /** Counts steps that are done like the last one that was timed. */
  count(steps: number): void {
    if (this.#device === undefined) return;
    for (const part of ["forward", "backward", "optimizer"] as const) {
      this.#times[part] = (this.#times[part] ?? 0) + steps * this.#device[part];
    }
  }

  /** The times so far. */
  now(): Times {
    const now = this.#clock();
    this.#times.total += (now - this.#since) / 1000;
    this.#since = now;
    return { ...this.#times };
  }

  /**
   * The times so far as a summary tells them.
   *
   * @param steps seconds of all steps
   */
  summary(steps: number): TrainingSeconds {
    const { forward, backward, optimizer, ...host } = this.now();
    const isKnown = forward !== null && backward !== null && optimizer !== null;
    return { ...host, steps, ...(isKnown ? { forward, backward, optimizer } : {}) };
  }
}
