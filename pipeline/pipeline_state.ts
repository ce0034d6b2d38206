/**
 * `pipeline.json` in a run's folder: which stages were done, from what, and what came out. Always whole: it is replaced in
 * one step, before a stage begins and after it ends. Form: `docs/pipeline.md`.
 */

import { basename, join, resolve } from "path";
import { z } from "zod";
import {
  displayPath,
  exists,
  fileError,
  readJson,
  UserError,
  validate,
  writeFileAtomic,
} from "../common/mod.ts";

/** The stages in their order. */
export const STAGE_NAMES = ["process", "optimize", "train", "evaluate", "generate"] as const;

/** The name of a stage. */
export type StageName = typeof STAGE_NAMES[number];

/** Name of the file that holds a pipeline's state. */
export const PIPELINE_FILE = "pipeline.json";

const digests = z.record(z.string(), z.string());

/** What is known of a stage that was begun. */
export const stageRecordSchema = z.strictObject({
  /** A stage whose process was killed still says `running`. */
  status: z.enum(["running", "done", "interrupted", "failed"]),
  /** ISO 8601, UTC. */
  started: z.string(),
  ended: z.string().nullable(),
  /** Seconds that it took, those of attempts that it went on from included. */
  seconds: z.number(),
  /** What it was, or is being, made from. */
  made_from: z.strictObject({
    /** The keys of the configuration that it depends on, as `section.key`. */
    config: z.record(z.string(), z.unknown()),
    /** Digests of what it reads: outputs of earlier stages, and files that are not the pipeline's. */
    inputs: digests,
  }),
  /** SHA-256 of each file that it made, by path: relative to the run's folder where it lies there. */
  outputs: digests,
  /** What later stages depend on. Null until it is done. */
  digest: z.string().nullable(),
  /** What came out, in a few numbers. */
  result: z.record(z.string(), z.unknown()),
  /** Why it failed. */
  error: z.string().nullable(),
});

/** What is known of a stage that was begun. */
export type StageRecord = z.output<typeof stageRecordSchema>;

/** A key of the configuration that the optimize stage set. */
const pinSchema = z.strictObject({ key: z.string(), from: z.unknown(), to: z.unknown() });

const stateSchema = z.strictObject({
  format_version: z.literal(1),
  /** ISO 8601, UTC. */
  created: z.string(),
  config_name: z.string(),
  /** Whether and how long to search, as it was asked for. */
  optimize: z.strictObject({ budget_seconds: z.number() }).nullable(),
  /** What the run's config.yaml has from the optimize stage, and what stood there before. */
  pinned: z.array(pinSchema),
  stages: z.partialRecord(z.enum(STAGE_NAMES), stageRecordSchema),
});

/** The content of `pipeline.json`. */
export type PipelineState = z.output<typeof stateSchema>;

/** The state of a pipeline that has done nothing yet. */
export function newState(config_name: string): PipelineState {
  return {
    format_version: 1,
    created: new Date().toISOString(),
    config_name,
    optimize: null,
    pinned: [],
    stages: {},
  };
}

/** Reads a run's `pipeline.json`. Throws `UserError` if it is missing or of another form. */
export async function readState(dir: string): Promise<PipelineState> {
  const file = join(dir, PIPELINE_FILE);
  if (!await exists(file)) {
    throw new UserError("was not made by a pipeline: it has no pipeline.json", {
      file: displayPath(dir),
      hint: "go on with `chatgot train --resume`, or begin a new pipeline",
    });
  }
  const value = await readJson(file);
  try {
    return validate(stateSchema, value, { file: displayPath(file) });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const hint = "the file was edited or is of another version; restore it, or begin a new pipeline";
    throw new UserError(error.message, { file: displayPath(file), hint });
  }
}

/** Replaces a run's `pipeline.json`. */
export async function writeState(dir: string, state: PipelineState): Promise<void> {
  await writeFileAtomic(join(dir, PIPELINE_FILE), JSON.stringify(state, null, 2) + "\n");
}

/**
 * Folder of the pipeline that was begun last.
 *
 * @param configName only pipelines of this configuration
 */
export async function latestPipeline(runsDir: string, configName?: string): Promise<string | undefined> {
  let latest: { dir: string; created: string } | undefined;
  for (const dir of await folders(runsDir)) {
    if (!await exists(join(dir, PIPELINE_FILE))) continue;
    const state = await readState(dir).catch(() => undefined);
    if (state === undefined || (configName !== undefined && state.config_name !== configName)) continue;
    const { created } = state;
    if (latest === undefined || `${created} ${basename(dir)}` > `${latest.created} ${basename(latest.dir)}`) {
      latest = { dir, created };
    }
  }
  return latest?.dir;
}

async function folders(parent: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(parent));
    return entries.filter((entry) => entry.isDirectory).map((entry) => join(parent, entry.name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw fileError(error, parent);
  }
}

/**
 * Holds a pipeline for this process, until disposed; the system lets go of it when the process ends, however it ends.
 *
 * @returns undefined when another process holds it
 */
export function holdPipeline(dir: string): Disposable | undefined {
  const file = Deno.openSync(join(dir, ".pipeline.lock"), { write: true, create: true });
  if (file.tryLockSync(true)) return file;
  file.close();
  return undefined;
}

/** Whether a process holds a pipeline. Changes nothing. */
export function isHeld(dir: string): boolean {
  try {
    using file = Deno.openSync(join(dir, ".pipeline.lock"), { write: true });
    return !file.tryLockSync(true);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw fileError(error, dir);
  }
}

/** Where an output of a run stands. */
export function outputPath(dir: string, output: string): string {
  return resolve(dir, output);
}
