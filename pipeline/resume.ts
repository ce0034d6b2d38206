/**
 * Going on with a run: finding its folder, taking its configuration as it was, and taking it over. The configuration
 * is the run's own; what the command line says otherwise is refused, but for a larger number of steps. (The learning rate then
 * follows the longer schedule from there on, so the run is not the one that the larger number would have given from the start.)
 */

import { join } from "path";
import { z } from "zod";
import { displayPath, exists, type Setting, UserError, userPath } from "../common/mod.ts";
import { differentKeys, flatConfig } from "./flat_config.ts";
import type { KernelChoices, TrainingJob, TrainingPreview } from "./open_training.ts";
import type { Recorder, RunStore } from "./recorder.ts";
import { resolveRunConfig, toYaml } from "./run_config.ts";
import { choicesSchema as tilesSchema } from "./tuning_cache.ts";

/** A run that can go on. */
export interface RunToResume {
  job: TrainingJob;
  /** How the run ended, if it had come to its end and is given no more steps. */
  completed: Record<string, unknown> | undefined;
}

/**
 * The folder of a run.
 *
 * @param which a folder, the name of one in `runsDir`, or `auto`: the run that was begun last
 * @param configName of the last runs, only those of this configuration
 * @returns undefined when `auto` finds none
 * @throws UserError when there is no such run
 */
export async function findRun(
  which: string,
  runs: RunStore,
  { runsDir, configName }: { runsDir: string; configName?: string },
): Promise<string | undefined> {
  if (which === "auto") return await runs.latestRun(userPath(runsDir), configName);
  for (const dir of [userPath(which), join(userPath(runsDir), which)]) {
    if (await exists(join(dir, "run.json"))) return dir;
  }
  throw new UserError(`there is no run ${which}`, {
    file: displayPath(userPath(which)),
    hint: `give a run's folder, the name of one in ${displayPath(userPath(runsDir))}, or auto for the latest`,
  });
}

/**
 * Reads what a run is, so that it can go on.
 *
 * @param overrides what the command line says beside; all but max_steps must agree with the run
 * @throws UserError when it does not agree, or the run's files are broken
 */
export async function runToResume(
  dir: string,
  runs: RunStore,
  overrides: { set?: readonly Setting[]; flags?: Readonly<Record<string, unknown>> },
): Promise<RunToResume> {
  const configPath = join(dir, "config.yaml");
  const own = await resolveRunConfig({ configPath, settled: true });
  const config = await resolveRunConfig({ configPath, settled: true, ...overrides });
  const conflicts = differentKeys(flatConfig(own), flatConfig(config)).filter((key) =>
    key !== "training.max_steps"
  );
  if (conflicts.length > 0) {
    throw new UserError(`${conflicts.join(", ")} cannot change when a run goes on`, {
      file: displayPath(configPath),
      hint: "leave the flag out, or begin a new run; only training.max_steps may be given anew",
    });
  }
  const record = await runs.readRun(dir);
  const kernelChoices = choicesOf(record);
  const extended = config.training.max_steps > own.training.max_steps;
  return {
    job: {
      config,
      resume: dir,
      extended,
      ...(kernelChoices === undefined ? {} : { kernelChoices }),
    },
    completed: record.status === "completed" && !extended ? record.summary : undefined,
  };
}

const choicesSchema = z.object({
  operands: z.enum(["texture", "buffer"]),
  profile: z.enum(["llvmpipe512", "llvmpipe256", "gpu"]),
  tiles: tilesSchema.optional(),
});

/** What a run chose for its kernels; undefined where nothing was, or it cannot be read. */
export function choicesOf(
  { adapter, kernel_choices }: Awaited<ReturnType<RunStore["readRun"]>>,
): KernelChoices | undefined {
  const { data } = choicesSchema.safeParse(kernel_choices);
  return data === undefined || adapter === null ? undefined : { adapter, ...data };
}

/** Makes the run's recorder: that of a new run, or of the one that goes on. Throws `UserError` if that cannot be. */
export async function beginRun(
  runs: RunStore,
  { config, parent, name, tags, resume, extended }: TrainingJob,
  {
    kernelChoices: { adapter, ...kernel_choices },
    adapterInfo: adapter_info,
    step,
    parameters,
    flops_per_step,
  }: TrainingPreview,
  warn: (line: string) => void,
): Promise<Recorder> {
  const { notes, tags: ownTags = [] } = config.tracking;
  const { batch_size, max_seq_length, accumulate_grad_batches, seed } = config.training;
  const training = {
    seed,
    adapter,
    adapter_info,
    kernel_choices,
    parameters,
    monitor_interval: config.tracking.monitor_interval,
    flops_per_token: flops_per_step / (batch_size * max_seq_length * accumulate_grad_batches),
  };
  if (resume === undefined) {
    const description = {
      runs_dir: userPath(config.tracking.runs_dir),
      config_name: config.tracking.name,
      ...(parent === undefined ? {} : { parent }),
      ...(name === undefined ? {} : { name }),
      ...(notes === undefined ? {} : { notes }),
      tags: [...ownTags, ...tags ?? []],
      config_yaml: toYaml(config),
    };
    return await runs.createRun({ ...description, ...training }, { warn });
  }
  const longer = extended ? { config_yaml: toYaml(config) } : {};
  const recorder = await runs.resumeRun(resume, step, { warn, training, ...longer });
  if (extended) {
    recorder.event({ type: "extended", step, max_steps: config.training.max_steps });
  }
  return recorder;
}
