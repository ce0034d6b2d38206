/**
 * Successive halving (Jamieson & Talwalkar, arXiv:1502.07943): all candidates train for a few steps, the better half goes on
 * for as many steps again as they have had, and so on until two are compared. Here: how many candidates and steps fit a time,
 * which go on, and which is chosen. Pure functions of what was measured.
 */

/** Fewest steps that tell candidates apart. */
const LEAST_STEPS = 10;

/** What trials of one kind take, in seconds. */
export interface Costs {
  /** Starting, compiling, saving. */
  start: number;
  step: number;
  /** One evaluation. */
  evaluation: number;
}

/** A search by halving. */
export interface HalvingPlan {
  /** How many begin: a power of 2. */
  candidates: number;
  /** Steps after which the candidates are compared, rung by rung. */
  rungs: number[];
  /** Seconds that it should take. */
  seconds: number;
}

/**
 * The widest search that fits a time, with as many steps as fit then.
 *
 * @param most candidates that there are
 * @param maxSteps steps of the whole training, which no trial exceeds
 * @returns undefined when not even two candidates fit
 */
export function planHalving(
  seconds: number,
  costs: Costs,
  { most, maxSteps }: { most: number; maxSteps: number },
): HalvingPlan | undefined {
  for (let rounds = Math.floor(Math.log2(most)); rounds >= 1; rounds--) {
    const candidates = 2 ** rounds;
    const begun = 2 * candidates - 2; // trials that start or go on: n + n/2 + … + 2
    const work = candidates * (1 + rounds) / 2; // rungs' worth of steps: n for the first, n/2 for each after it
    const fixed = begun * costs.start + work * costs.evaluation;
    const longest = Math.floor(maxSteps / 2 ** (rounds - 1));
    const first = Math.min(Math.floor((seconds - fixed) / (work * costs.step)), longest);
    if (first < LEAST_STEPS) continue;
    const rungs = Array.from({ length: rounds }, (_, i) => first * 2 ** i);
    return { candidates, rungs, seconds: fixed + work * first * costs.step };
  }
  return undefined;
}

/** What a candidate came to. */
export interface Measured {
  /** Validation loss at each rung that it reached, in nats per token; NaN where the training failed. */
  losses: readonly number[];
}

/**
 * Numbers of the candidates that go on from a rung: the better half of those that reached it. Of equals, the earlier.
 */
export function better(measured: readonly Measured[], rung: number): number[] {
  const reached = ranked(measured, rung);
  return reached.slice(0, Math.ceil(reached.length / 2)).sort((a, b) => a - b);
}

/**
 * Number of the candidate that is chosen: the best at the last rung where there were others to compare with, or all that
 * were due arrived; undefined when none has a loss.
 *
 * @param due how many were due at each rung
 */
export function best(measured: readonly Measured[], due: readonly number[]): number | undefined {
  for (let rung = due.length - 1; rung >= 0; rung--) {
    const arrived = measured.filter(({ losses }) => losses.length > rung).length;
    if (arrived < due[rung]! && rung > 0) continue;
    const [first] = ranked(measured, rung);
    if (first !== undefined) return first;
  }
  return undefined;
}

/** Candidates with a loss at a rung, the least first. */
function ranked(measured: readonly Measured[], rung: number): number[] {
  return measured.map((_, i) => i)
    .filter((i) => Number.isFinite(measured[i]!.losses[rung]))
    .sort((a, b) => measured[a]!.losses[rung]! - measured[b]!.losses[rung]! || a - b);
}
