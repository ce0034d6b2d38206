/** Which run of an experiment is next, how far it is to go, and how much work is left: pure functions of the state. */

import type { PlannedVariant } from "./experiment_plan.ts";
import type { ExperimentEntry, ExperimentState } from "./experiment_state.ts";
import { nextMove, type Scores } from "./halving.ts";

/** The next thing to do. */
export interface NextRun {
  entry: ExperimentEntry;
  variant: PlannedVariant;
  /** The rung that it is to reach, counted from 0. */
  rung: number;
}

/** The next run; undefined when all is done. Where nothing is chosen on the way, all variants have a seed before the next begins. */
export function nextRun(state: ExperimentState): NextRun | undefined {
  const { sweep, seeds } = state.config;
  if (sweep?.method === "halving" || sweep?.method === "asha") {
    for (const { name } of state.config.models) {
      const trials = state.variants.filter(({ model }) => model === name);
      const move = nextMove(trials.map((trial) => scoresOf(state, trial)), {
        ...sweep,
        method: sweep.method,
      });
      if (move === undefined) continue;
      const variant = trials[move.trial]!;
      const entry = entriesOf(state, variant).find(({ scores }) => scores.length <= move.rung)!;
      return { entry, variant, rung: move.rung };
    }
    return undefined;
  }
  for (const seed of seeds) {
    for (const variant of state.variants) {
      const entry = entriesOf(state, variant).find((entry) => entry.seed === seed)!;
      if (entry.status === "pending" || entry.status === "begun") return { entry, variant, rung: 0 };
    }
  }
}

/** A variant's runs. */
export function entriesOf({ runs }: ExperimentState, { name }: { name: string }): ExperimentEntry[] {
  return runs.filter(({ variant }) => variant === name);
}

/** A variant's score at each rung that all its seeds have reached: their mean, or Infinity where one failed before. */
function scoresOf(state: ExperimentState, variant: PlannedVariant): Scores {
  const entries = entriesOf(state, variant);
  return variant.rungs.map((_, rung) => {
    if (entries.some(({ status, scores }) => status === "failed" && scores.length <= rung)) return Infinity;
    if (entries.some(({ scores }) => scores.length <= rung)) return undefined;
    return entries.reduce((sum, { scores }) => sum + scores[rung]!, 0) / entries.length;
  });
}

/** Floating-point operations of an experiment: what is done, by steps on the way of each run, and about how many there are in all. */
export function workOf(
  state: ExperimentState,
  stepsDone: (entry: ExperimentEntry) => number,
): { done: number; total: number } {
  const { sweep, seeds, models } = state.config;
  const flops = new Map(state.variants.map((variant) => [variant.name, variant.flops_per_step]));
  const done = state.runs.reduce((sum, entry) => sum + stepsDone(entry) * flops.get(entry.variant)!, 0);
  if (sweep?.method !== "halving" && sweep?.method !== "asha") {
    // What a failed run did not do is not to come.
    const total = state.runs.reduce((sum, entry) => {
      const { max_steps, flops_per_step } = state.variants.find(({ name }) => name === entry.variant)!;
      return sum + (entry.status === "failed" ? stepsDone(entry) : max_steps) * flops_per_step;
    }, 0);
    return { done, total };
  }
  let total = 0;
  for (const { name } of models) {
    let field = state.variants.filter(({ model }) => model === name);
    for (let rung = 0, left = field.length; rung < sweep.rungs; rung++) {
      field = field.slice(0, left); // who will go on is not known: about as costly as the first ones
      for (const { rungs, flops_per_step } of field) {
        total += (rungs[rung]! - (rungs[rung - 1] ?? 0)) * flops_per_step * seeds.length;
      }
      left = Math.ceil(left / sweep.factor);
    }
  }
  return { done, total: Math.max(total, done) };
}
