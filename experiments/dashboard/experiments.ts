/**
 * Experiments as the dashboard shows them: those with a folder of their own (`<runs>/experiments/<id>/experiment.json`), read
 * as far as it can be understood, and groups of runs that name the same parent.
 */

import * as path from "path";
import { z } from "zod";
import { readJson, UserError } from "../../common/mod.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { Refusal } from "./access.ts";
import type { ExperimentDetails, ExperimentRow, ExperimentRun, ExperimentVariant } from "./api_types.ts";
import { listArtifacts } from "./artifacts.ts";
import { runFile, runFolder } from "./run_paths.ts";
import { seedGroups } from "./series.ts";

/** The folder of experiments among the runs. */
export const EXPERIMENTS = "experiments";

const textOrNull = z.string().nullable().catch(null);

const runSchema = z.object({
  variant: z.string().catch(""),
  seed: z.number().nullable().catch(null),
  status: z.string().catch("unknown"),
  run: textOrNull,
  error: textOrNull,
});

/** What is shown of `experiment.json`; what is missing or of another form is left empty. */
const stateSchema = z.object({
  status: z.string().catch("unknown"),
  created: textOrNull,
  ended: textOrNull,
  config: z.object({
    name: textOrNull,
    description: z.string().catch(""),
    metrics: z.array(z.string()).catch([]),
  }).catch({ name: null, description: "", metrics: [] }),
  variants: z.array(z.object({ name: z.string(), values: z.record(z.string(), z.unknown()).catch({}) }))
    .catch([]),
  runs: z.array(runSchema).catch([]),
});

type State = z.output<typeof stateSchema>;

/** Statuses of runs that go on no more. */
const DONE = ["completed", "failed", "stopped", "interrupted", "killed"];

/** All experiments, the newest first. */
export async function listExperiments(runsDir: string, runs: readonly RunEntry[]): Promise<ExperimentRow[]> {
  const ids = new Set([
    ...await folderNames(path.join(runsDir, EXPERIMENTS)),
    ...runs.flatMap((run) => run.parents),
  ]);
  const rows: ExperimentRow[] = [];
  for (const id of ids) {
    const details = await experimentDetails(runsDir, id, runs).catch(() => undefined);
    if (details === undefined) continue;
    const { name, status, created, ended, done, runs: count } = details;
    rows.push({ id, name, status, created, ended, done, runs: count });
  }
  return rows.sort((a, b) => (a.created ?? "") < (b.created ?? "") ? 1 : -1);
}

/** One experiment. Throws `Refusal` (404) for an id that neither a folder has nor a run names. */
export async function experimentDetails(
  runsDir: string,
  id: string,
  all: readonly RunEntry[],
): Promise<ExperimentDetails> {
  const members = all.filter((run) => run.parents.includes(id));
  const folder = await experimentFolder(runsDir, id).catch(() => undefined);
  if (folder === undefined && members.length === 0) {
    throw new Refusal(404, "there is no such experiment here");
  }
  const { state, problem } = folder === undefined ? {} : await readState(folder);
  const variants = state === undefined || state.runs.length === 0
    ? variantsOf(members)
    : plannedVariants(state, members);
  const runs = variants.flatMap((variant) => variant.runs);
  return {
    id,
    name: state?.config.name ?? id,
    status: state?.status ?? "unknown",
    created: state?.created ?? members.at(-1)?.created ?? null,
    ended: state?.ended ?? null,
    done: runs.filter(({ status }) => DONE.includes(status)).length,
    runs: runs.length,
    description: state?.config.description ?? "",
    metrics: state?.config.metrics ?? [],
    variants,
    files: folder === undefined ? [] : await listArtifacts(folder),
    problems: problem === undefined ? [] : [problem],
  };
}

/** The real path of an experiment's folder. Throws `Refusal` (404) where there is none. */
export async function experimentFolder(runsDir: string, id: string): Promise<string> {
  return await runFile(await runFolder(runsDir, EXPERIMENTS), id);
}

async function readState(folder: string): Promise<{ state?: State; problem?: string }> {
  try {
    return { state: stateSchema.parse(await readJson(await runFile(folder, "experiment.json"))) };
  } catch (error) {
    return {
      problem: error instanceof UserError
        ? error.describe()
        : "experiment.json is missing or of another form",
    };
  }
}

/** The variants as planned; a run's own record says best how it stands now. */
function plannedVariants(state: State, members: readonly RunEntry[]): ExperimentVariant[] {
  const stateOf = new Map(members.map((run) => [run.id, run.state]));
  const names = [
    ...new Set([...state.variants.map(({ name }) => name), ...state.runs.map(({ variant }) => variant)]),
  ];
  return names.map((name) => ({
    name,
    values: state.variants.find((variant) => variant.name === name)?.values ?? {},
    runs: state.runs.filter(({ variant }) => variant === name).map(({ seed, status, run, error }) => ({
      seed,
      status: status === "begun" && run !== null ? stateOf.get(run) ?? status : status,
      run,
      error,
    })),
  }));
}

/** Without a plan: runs that differ in nothing but their seed are one variant. */
function variantsOf(members: RunEntry[]): ExperimentVariant[] {
  return seedGroups(members).map(({ label, runs }) => ({
    name: label,
    values: {},
    runs: runs.map((run): ExperimentRun => ({
      seed: typeof run.record.seed === "number" ? run.record.seed : null,
      status: run.state,
      run: run.id,
      error: null,
    })),
  }));
}

async function folderNames(parent: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(parent));
    return entries.filter(({ isDirectory, name }) => isDirectory && !name.startsWith(".")).map(({ name }) =>
      name
    );
  } catch {
    return [];
  }
}
