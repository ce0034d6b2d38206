/**
 * Which trial goes on, and how far: pure functions of the scores so far, so that an experiment that was killed chooses as it
 * would have. A rung is a number of steps; each has `factor` times the steps of the one below it, and one in `factor` reaches it.
 *
 * - Successive halving (Jamieson & Talwalkar, arXiv:1502.07943): all trials reach a rung before the best of them go on.
 * - ASHA (Li et al., arXiv:1810.05934): a trial goes on as soon as it is among the best 1/factor of those that have
 *   reached its rung; only if none is, a new one begins. Here one at a time.
 */

/** A trial: its score at each rung that it has reached. Less is better; Infinity for one that failed. */
export type Scores = readonly (number | undefined)[];

/** The next thing to do: train a trial up to a rung, counted from 0. */
export interface Move {
  trial: number;
  rung: number;
}

/** How a halving goes. */
export interface HalvingOptions {
  method: "halving" | "asha";
  factor: number;
  rungs: number;
}

/** What is to be done next; undefined when all is done. */
export function nextMove(trials: readonly Scores[], options: HalvingOptions): Move | undefined {
  return options.method === "asha" ? nextOfAsha(trials, options) : nextOfHalving(trials, options);
}

function nextOfHalving(trials: readonly Scores[], { factor, rungs }: HalvingOptions): Move | undefined {
  let field = trials.map((_, trial) => trial);
  for (let rung = 0; rung < rungs; rung++) {
    const open = field.find((trial) => trials[trial]![rung] === undefined);
    if (open !== undefined) return { trial: open, rung };
    field = best(trials, field, rung, Math.ceil(field.length / factor)).sort((a, b) => a - b);
  }
}

function nextOfAsha(trials: readonly Scores[], { factor, rungs }: HalvingOptions): Move | undefined {
  const reached = (rung: number) =>
    trials.flatMap((scores, trial) => scores[rung] === undefined ? [] : [trial]);
  for (let rung = rungs - 2; rung >= 0; rung--) {
    const field = reached(rung);
    const chosen = best(trials, field, rung, Math.floor(field.length / factor));
    const trial = chosen.find((trial) => trials[trial]![rung + 1] === undefined);
    if (trial !== undefined) return { trial, rung: rung + 1 };
  }
  const fresh = trials.findIndex((scores) => scores[0] === undefined);
  if (fresh >= 0) return { trial: fresh, rung: 0 };
  // Too few for one in `factor`: still the best of all goes to the end.
  for (let rung = rungs - 2; rung >= 0; rung--) {
    if (reached(rung + 1).length > 0) return undefined;
    const [trial] = best(trials, reached(rung), rung, 1);
    if (trial !== undefined) return { trial, rung: rung + 1 };
  }
}

/** The `count` trials of the least score at a rung, the best first; of equal ones the earlier. Failed ones are none. */
function best(trials: readonly Scores[], field: number[], rung: number, count: number): number[] {
  const score = (trial: number) => trials[trial]![rung]!;
  return field.filter((trial) => Number.isFinite(score(trial)))
    .sort((a, b) => score(a) - score(b) || a - b)
    .slice(0, count);
}

/**
 * The steps of each rung, the last one the whole training: multiples of the first, at most `max_steps` in the end.
 *
 * @returns undefined when there are fewer steps than the rungs need
 */
export function rungSteps(
  max_steps: number,
  { factor, rungs }: Pick<HalvingOptions, "factor" | "rungs">,
): number[] | undefined {
  const first = Math.floor(max_steps / factor ** (rungs - 1));
  if (first < 1) return undefined;
  return Array.from({ length: rungs }, (_, rung) => first * factor ** rung);
}
