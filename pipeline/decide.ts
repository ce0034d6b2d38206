/**
 * Whether a stage must be done, and why: because it never was, because what it is made from is another thing now, or because
 * what it made is missing or damaged. By digest alone: times of files do not count.
 */

import { join } from "path";
import { displayPath, exists, sha256File } from "../common/mod.ts";
import { differentKeys, flatConfig } from "./flat_config.ts";
import { outputPath, type PipelineState, type StageName, type StageRecord } from "./pipeline_state.ts";
import { resolveRunConfig, type RunConfig } from "./run_config.ts";
import type { Reason, Stage } from "./stages/stage.ts";

/** What is to be done about a stage. */
export interface Decision {
  stage: StageName;
  action: "run" | "keep" | "skip";
  /** Why it is to be run. */
  reason: Reason | undefined;
  /** The same for people. */
  why: string;
  /** Keys of the configuration that are others than before. */
  changed: string[];
  /** What it is made from now. */
  made_from: StageRecord["made_from"];
}

/** Where a pipeline stands. */
export interface Situation {
  /** The run's folder; undefined where it is not made yet. */
  dir: string | undefined;
  state: PipelineState;
  /** The configuration as the user gave it, without what the optimize stage chose. */
  config: RunConfig;
}

/** Stands for the digest of a stage that is not done: there is no choice, so the configuration's own values hold. */
export const NOTHING = "none";

/**
 * Decides about one stage; those before it must have been done.
 *
 * @throws UserError when files that it reads from outside are missing
 */
export async function decide(stage: Stage, situation: Situation): Promise<Decision> {
  const { dir, state } = situation;
  const record = state.stages[stage.name];
  const made_from = await madeFrom(stage, situation);
  const run = (reason: Reason, why: string, changed: string[] = []): Decision => (
    { stage: stage.name, action: "run", reason, why, changed, made_from }
  );
  if (record === undefined) return run("new", "not done yet");
  // A key that there was not when the stage was done had what is its default now.
  const before = { ...await defaultsOf(made_from.config), ...record.made_from.config };
  const changed = differentKeys(before, { ...made_from.config });
  if (changed.length > 0) {
    const show = (value: unknown) => value === undefined ? "nothing" : JSON.stringify(value);
    const list = changed.map((key) => `${key}: ${show(before[key])} → ${show(made_from.config[key])}`);
    return run("config", `${list.join(", ")}`, changed);
  }
  const inputs = differentKeys(record.made_from.inputs, made_from.inputs);
  if (inputs.length > 0) {
    return run("inputs", `${inputs.map((name) => INPUTS[name] ?? `what ${name} gave`).join(", ")} changed`);
  }
  if (record.status !== "done") {
    return run("unfinished", record.status === "failed" ? `failed before: ${record.error}` : "was stopped");
  }
  const fault = dir === undefined ? undefined : await outputFault(dir, record);
  if (fault !== undefined) return run("outputs", fault);
  return { stage: stage.name, action: "keep", reason: undefined, why: "up to date", changed: [], made_from };
}

/** Inputs that no stage makes, for people. */
const INPUTS: Record<string, string> = {
  corpus: "the text",
  tokenizer_file: "the file of the tokenizer",
  init_from: "the model that training begins with",
};

/** What a stage is made from now. */
async function madeFrom(
  stage: Stage,
  { state, config }: Situation,
): Promise<StageRecord["made_from"]> {
  const results = stage.after.map((name) => [name, state.stages[name]?.digest ?? NOTHING] as const);
  return {
    config: Object.fromEntries(
      Object.entries(flatConfig(config)).filter(([key]) => stage.dependsOn(key, config)),
    ),
    inputs: { ...await stage.sources?.(config), ...Object.fromEntries(results) },
  };
}

/** The defaults of the keys of a flat configuration. */
async function defaultsOf(keys: Record<string, unknown>): Promise<Record<string, unknown>> {
  const defaults = flatConfig(await resolveRunConfig({}));
  return Object.fromEntries(Object.entries(defaults).filter(([key]) => key in keys));
}

/** The first output that is missing or not what was made; undefined when all are whole. */
export async function outputFault(dir: string, { outputs }: StageRecord): Promise<string | undefined> {
  for (const [output, digest] of Object.entries(outputs)) {
    const path = outputPath(dir, output);
    const shown = displayPath(path);
    if (!await exists(path)) return `${shown} is missing`;
    if (!(await Deno.stat(path)).isFile || await sha256File(path) !== digest) return `${shown} is damaged`;
  }
  return undefined;
}

/** Digests of files, keyed as a record keys them: relative to the run's folder where they lie there. */
export async function digestOutputs(dir: string, paths: readonly string[]): Promise<Record<string, string>> {
  const inside = join(dir, "/");
  const entries = await Promise.all(paths.map(async (path) => {
    const key = path.startsWith(inside) ? path.slice(inside.length).replaceAll("\\", "/") : path;
    return [key, await sha256File(path)] as const;
  }));
  return Object.fromEntries(entries);
}
