/**
 * Which run a pipeline works on, and with which configuration: a new run's; or that of a run that goes on, from its
 * config.yaml as it stands now or from the file that is given again, with flags laid over either.
 */

import { join } from "path";
import { displayPath, type Setting, UserError, userPath, writeFileAtomic } from "../common/mod.ts";
import type { Situation } from "./decide.ts";
import { flatConfig, sameValue, withKeys } from "./flat_config.ts";
import { latestPipeline, newState, type PipelineState, readState, writeState } from "./pipeline_state.ts";
import type { RunStore } from "./recorder.ts";
import { findRun } from "./resume.ts";
import { resolveRunConfig, type RunConfig, toYaml } from "./run_config.ts";

/** Which pipeline, with which configuration. */
export interface PipelineSource {
  /** Path of a run config; the defaults when left out, or the configuration of the run that goes on. */
  configPath?: string | undefined;
  /** The run config of a new run where none is given; the defaults when left out. */
  standardPath?: string | undefined;
  /** What `--set` gave, in order. */
  set?: readonly Setting[];
  /** What flags of their own gave, by key (`"training.max_steps"`); undefined ones were not given. */
  flags?: Readonly<Record<string, unknown>>;
  /** Folder or name of the run to go on with, or `auto` for the latest pipeline (of the config, if one is given). */
  resume?: string | undefined;
}

/**
 * Finds out what a pipeline works on. Changes nothing.
 *
 * @returns `dir` is undefined for a new run, also when `auto` finds none
 * @throws UserError when there is no such run, it was not made by a pipeline, or its files are broken
 */
export async function openPipeline(source: PipelineSource, runs: RunStore): Promise<Situation> {
  const { configPath, standardPath, set = [], flags = {}, resume } = source;
  const overrides = { set, flags };
  const given = configPath === undefined ? undefined : await resolveRunConfig({ configPath, ...overrides });
  const dir = resume === undefined ? undefined : await findPipeline(resume, given, flags, runs);
  if (dir === undefined) {
    const config = given ?? await resolveRunConfig({ configPath: standardPath, ...overrides });
    return { dir, state: newState(config.tracking.name), config };
  }
  const state = await readState(dir);
  if (given !== undefined) return { dir, state, config: given };
  const configured = await resolveRunConfig({
    configPath: join(dir, "config.yaml"),
    settled: true,
    ...overrides,
  });
  return { dir, state, config: unpinned(configured, state) };
}

async function findPipeline(
  resume: string,
  given: RunConfig | undefined,
  flags: NonNullable<PipelineSource["flags"]>,
  runs: RunStore,
): Promise<string | undefined> {
  const { tracking } = given ??
    await resolveRunConfig({ flags: { "tracking.runs_dir": flags["tracking.runs_dir"] } });
  const runsDir = userPath(tracking.runs_dir);
  if (resume === "auto") {
    const name = given?.tracking.name ?? flags["tracking.name"];
    return await latestPipeline(runsDir, name === undefined ? undefined : String(name));
  }
  return await findRun(resume, runs, { runsDir });
}

/**
 * A run's configuration without what the optimize stage put into it. A key that has another value than the one put there
 * was edited since, and keeps it.
 */
function unpinned(config: RunConfig, { pinned }: PipelineState): RunConfig {
  const flat = flatConfig(config);
  const own = pinned.filter(({ key, to }) => sameValue(flat[key], to));
  return withKeys(config, Object.fromEntries(own.map(({ key, from }) => [key, from])));
}

/** The configuration to train with: what the optimize stage chose goes before what the user gave, unless that has changed. */
export function pinnedConfig({ config, state }: Situation): RunConfig {
  const flat = flatConfig(config);
  const held = state.pinned.filter(({ key, from }) => sameValue(flat[key], from));
  return withKeys(config, Object.fromEntries(held.map(({ key, to }) => [key, to])));
}

/** Takes what the optimize stage chose before out of the configuration, before anything new is chosen. */
export async function unpin(situation: Situation & { dir: string }): Promise<void> {
  if (situation.state.pinned.length === 0) return;
  await writeConfig(situation.dir, situation.config);
  situation.state.pinned = [];
  await writeState(situation.dir, situation.state);
}

/** Puts a configuration into a run's config.yaml, unless it says the same already: an edited file keeps its comments. */
export async function writeConfig(dir: string, config: RunConfig): Promise<void> {
  const path = join(dir, "config.yaml");
  const before = await resolveRunConfig({ configPath: path, settled: true }).catch(() => undefined);
  if (before !== undefined && sameValue(before, config)) return;
  await writeFileAtomic(path, toYaml(config));
}

/** The error for a pipeline that another process works on. */
export function heldError(dir: string): UserError {
  return new UserError("another process runs this pipeline", {
    file: displayPath(dir),
    hint: "wait until it has ended, or stop it",
  });
}
