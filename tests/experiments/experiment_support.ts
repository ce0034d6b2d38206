/** What the tests of experiments share: small experiments in folders of their own, and how they came out. */

import { join } from "path";
import { parse } from "yaml";
import { chatgot, type Ended, start } from "../pipeline/training_support.ts";
import { type ExperimentState } from "../../experiments/runner/experiment_state.ts";

/** Two models of a few thousand parameters, two seeds. */
export const SMALL = `
name: small
models:
  - { name: wide, config: tiny.yaml }
  - { name: narrow, config: tiny.yaml, params: { model.n_embd: 16 } }
seeds: [1, 2]
budget: { tokens: 2600 }
monitoring: { evaluations: 4, checkpoints: 3, log_points: 1000 }
`;

/** The same with one seed. */
export const ONE_SEED = SMALL.replace("seeds: [1, 2]", "seeds: [1]");

/** The flags that run the folder's `experiment.yaml`. */
export const EXPERIMENT = ["experiment", "--config-path", "experiment.yaml"];

/** Writes the folder's `experiment.yaml`. */
export async function write(dir: string, text: string): Promise<void> {
  await Deno.writeTextFile(join(dir, "experiment.yaml"), text);
}

/** Runs the folder's experiment to its end. */
export function experiment(dir: string, ...flags: string[]): Promise<Ended> {
  return chatgot(dir, ...EXPERIMENT, ...flags);
}

/** Starts the folder's experiment. */
export function startExperiment(dir: string, ...flags: string[]): Deno.ChildProcess {
  return start(dir, [...EXPERIMENT, ...flags]);
}

/** The folders of experiments, oldest first. */
export function experimentFolders(dir: string): string[] {
  try {
    const names = Array.from(Deno.readDirSync(join(dir, "runs/experiments")), ({ name }) => name);
    return names.filter((name) => !name.startsWith(".")).sort().map((name) =>
      join(dir, "runs/experiments", name)
    );
  } catch {
    return [];
  }
}

/** The state of the only experiment; undefined while there is none. */
export function stateIn(dir: string): ExperimentState | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(join(experimentFolders(dir)[0]!, "experiment.json")));
  } catch {
    return undefined;
  }
}

/** The runs' folders, without that of experiments. */
export function runFolders(dir: string): string[] {
  return Array.from(Deno.readDirSync(join(dir, "runs")), ({ name }) => name).filter((name) =>
    name !== "experiments"
  )
    .sort().map((name) => join(dir, "runs", name));
}

/** An experiment's results. */
// deno-lint-ignore no-explicit-any -- a file as a program would read it
export function resultsOf(experimentFolder: string): any {
  return parse(Deno.readTextFileSync(join(experimentFolder, "results.yaml")));
}

/** Results without the keys under which everything stands that differs from one time to the next. */
export function withoutMeasured(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutMeasured);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([key]) => key !== "measured").map((
      [key, inner],
    ) => [key, withoutMeasured(inner)]),
  );
}

/** Waits until something holds. Throws when the process ends before. */
export async function until(holds: () => boolean, child: Deno.ChildProcess): Promise<void> {
  let hasEnded = false;
  child.status.then(() => hasEnded = true);
  while (!holds()) {
    if (hasEnded) throw new Error("the process ended before");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
