/**
 * `experiment.json`: how an experiment stands. Rewritten as a whole whenever a run begins, reaches a rung or ends, so that the
 * experiment goes on after any crash. The runs themselves are folders beside `experiments/`, each with its own record.
 */

import { join } from "path";
import { z } from "zod";
import { displayPath, readJson, validate, VERSION, writeFileAtomic } from "../../common/mod.ts";
import { holdFolder } from "../tracker/hold_folder.ts";
import { foldersIn, makeRunFolder } from "../tracker/run_folder.ts";
import { experimentSchema } from "./experiment_config.ts";
import { type ExperimentPlan, plannedVariantSchema } from "./experiment_plan.ts";

const entrySchema = z.looseObject({
  variant: z.string(),
  seed: z.number(),
  /** `begun` has a run that is to go on; `stopped` was not chosen to. */
  status: z.enum(["pending", "begun", "completed", "failed", "stopped"]),
  /** The run's id; null before it has one. */
  run: z.string().nullable(),
  /** The deciding metric at each rung that was reached; less is better. */
  scores: z.array(z.number()),
  /** Why it failed. */
  error: z.string().nullable(),
});

/** One run of an experiment: a variant with a seed. */
export type ExperimentEntry = z.output<typeof entrySchema>;

/** The form of `experiment.json`. Keys that a later version adds are kept. */
export const experimentStateSchema = z.looseObject({
  format_version: z.literal(1),
  /** The folder's name; the runs name it as their parent. */
  id: z.string(),
  /** `running` and `interrupted` ones go on; `failed` has come to its end, but not all of its runs did. */
  status: z.enum(["running", "interrupted", "completed", "failed"]),
  /** ISO 8601, UTC. */
  created: z.string(),
  ended: z.string().nullable(),
  /** The file as the user knows it. */
  file: z.string(),
  digest: z.string(),
  adapter: z.string(),
  versions: z.record(z.string(), z.string()),
  config: experimentSchema,
  variants: z.array(plannedVariantSchema),
  runs: z.array(entrySchema),
});

/** The content of `experiment.json`. */
export type ExperimentState = z.output<typeof experimentStateSchema>;

const STATE_FILE = "experiment.json";

/** Folder of all experiments, beside the runs. */
export function experimentsFolder(runsDir: string): string {
  return join(runsDir, "experiments");
}

/** Makes the folder of a new experiment, with nothing done. Throws `UserError` if that cannot be. */
export async function createExperiment(
  runsDir: string,
  plan: ExperimentPlan,
  now: Date,
): Promise<{ dir: string; state: ExperimentState }> {
  const { file: { config, yaml }, digest, adapter, planned } = plan;
  const dir = await makeRunFolder(experimentsFolder(runsDir), config.name, now);
  const state: ExperimentState = {
    format_version: 1,
    id: dir.slice(experimentsFolder(runsDir).length + 1),
    status: "running",
    created: now.toISOString(),
    ended: null,
    file: yaml.file,
    digest,
    adapter,
    versions: { chatgot: VERSION, ...Deno.version, os: `${Deno.build.os} ${Deno.build.arch}` },
    config,
    variants: planned,
    runs: planned.flatMap(({ name }) =>
      config.seeds.map((seed): ExperimentEntry => ({
        variant: name,
        seed,
        status: "pending",
        run: null,
        scores: [],
        error: null,
      }))
    ),
  };
  await writeState(dir, state);
  return { dir, state };
}

/** Reads an experiment's state. Throws `UserError` if it is missing or of another form. */
export async function readState(dir: string): Promise<ExperimentState> {
  const file = join(dir, STATE_FILE);
  return validate(experimentStateSchema, await readJson(file), { file: displayPath(file) });
}

/** Replaces an experiment's state as a whole. Throws `UserError`, among others when the disk is full; the old is whole then. */
export function writeState(dir: string, state: ExperimentState): Promise<void> {
  return writeFileAtomic(join(dir, STATE_FILE), JSON.stringify(state, undefined, 2) + "\n");
}

/** The folder of the experiment that was begun last and has not come to its end, of a digest. */
export async function unfinishedExperiment(
  runsDir: string,
  digest: string,
): Promise<string | undefined> {
  let latest: { dir: string; created: string } | undefined;
  for (const dir of await foldersIn(experimentsFolder(runsDir))) {
    const state = await readState(dir).catch(() => undefined);
    if (state?.digest !== digest || !["running", "interrupted"].includes(state.status)) continue;
    if (latest === undefined || state.created > latest.created) latest = { dir, created: state.created };
  }
  return latest?.dir;
}

/** Holds an experiment for this process. Throws `UserError` when another holds it. */
export function lockExperiment(dir: string): Promise<Deno.FsFile> {
  return holdFolder(
    dir,
    "another process is at work on this experiment",
    "wait until it has ended, stop it, or give --restart for another one",
  );
}
