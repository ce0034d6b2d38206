/**
 * The combinations of values that a sweep tries: all of a grid, or some drawn at random. Pure functions of the sweep, its seed
 * included, so that the same file gives the same combinations.
 */

import { streamOf, uniform } from "../../common/mod.ts";
import type { Sweep } from "./experiment_config.ts";

/** Values by key of the run config: `{"training.learning_rate": 0.001}`. */
export type SweepPoint = Readonly<Record<string, unknown>>;

/** Draws for a combination that has not been drawn before: of lists alone there may be no other. */
const ATTEMPTS = 100;

/**
 * The combinations of a sweep, in the order of its keys with the last one varying fastest; those of a random search in the order
 * in which they are drawn, without repetitions (so there are fewer than `trials` where lists hold fewer).
 */
export function sweepPoints(sweep: Sweep): SweepPoint[] {
  const { method, parameters, trials } = sweep;
  if (method === "grid" || trials === undefined) return grid(parameters as Record<string, unknown[]>);
  const points = new Map<string, SweepPoint>();
  for (let draw = 0; points.size < trials && draw < trials + ATTEMPTS; draw++) {
    const point = drawPoint(sweep, draw);
    points.set(JSON.stringify(point), point);
  }
  return [...points.values()];
}

function grid(parameters: Record<string, unknown[]>): SweepPoint[] {
  return Object.entries(parameters).reduce<SweepPoint[]>(
    (points, [key, values]) => points.flatMap((point) => values.map((value) => ({ ...point, [key]: value }))),
    [{}],
  );
}

function drawPoint({ parameters, seed }: Sweep, draw: number): SweepPoint {
  return Object.fromEntries(
    Object.entries(parameters).map(([key, values]) => {
      const u = uniform(seed, streamOf(`sweep.${key}`), draw);
      return [key, Array.isArray(values) ? values[Math.floor(u * values.length)] : within(values, u)];
    }),
  );
}

/** The value at u of the way through a range, to four digits (so that what is written is what was tried). */
function within(
  { min, max, scale, integer }: Exclude<Sweep["parameters"][string], unknown[]>,
  u: number,
): number {
  if (integer && scale === "linear") return Math.floor(min + u * (max - min + 1));
  const value = scale === "log" ? min * (max / min) ** u : min + u * (max - min);
  return integer ? Math.round(value) : Number(value.toPrecision(4));
}

/**
 * What distinguishes a combination, for people: `learning_rate=0.001 n_layer=2`. Keys of the same last part are given whole.
 *
 * @param keys all keys of the sweep
 */
export function pointLabel(point: SweepPoint, keys: readonly string[] = Object.keys(point)): string {
  const last = (key: string) => key.slice(key.lastIndexOf(".") + 1);
  const shared = (key: string) => keys.some((other) => other !== key && last(other) === last(key));
  return Object.entries(point)
    .map(([key, value]) =>
      `${shared(key) ? key : last(key)}=${typeof value === "string" ? value : JSON.stringify(value)}`
    )
    .join(" ");
}
