/**
 * The command `chatgot train`: trains a model in a worker, shows how it goes, and sees to it that Ctrl-C loses nothing. The exit
 * status is 0 at the end, 130 after Ctrl-C, 1 when something is wrong.
 */

import { join } from "path";
import { Command } from "commander";
import { displayPath, onInterrupt, type Setting, writeFileAtomic } from "../../common/mod.ts";
import {
  chromeTrace,
  ensureAdapter,
  type KernelTime,
  profileTable,
  stepSeconds,
  summarise,
} from "../../gpu/mod.ts";
import type { TrainingJob, TrainingPreview } from "../open_training.ts";
import type { RunStore } from "../recorder.ts";
import { beginRun, findRun, type RunToResume, runToResume } from "../resume.ts";
import { resolveRunConfig, toYaml } from "../run_config.ts";
import { TrainSession } from "../train_session.ts";
import type { TrainingResult } from "../training_result.ts";
import {
  addJsonFlag,
  addSettingFlag,
  addTrainingFlags,
  DEFAULT_CONFIG,
  standardConfig,
  trainingFlags,
} from "./flags.ts";
import { header, TrainDisplay } from "./train_display.ts";

interface TrainFlags {
  configPath?: string;
  name?: string;
  resume?: string;
  dryRun?: boolean;
  quiet?: boolean;
  json?: boolean;
  profile?: boolean;
  set: Setting[];
  /** The keys of the section `training`, in camel case. */
  [key: string]: unknown;
}

/** The command. `runs` is where runs are kept. */
export function trainCommand(runs: RunStore): Command {
  const command = new Command("train")
    .description("Train a model, with samples of what it writes on the way")
    .option("--config-path <yaml>", `config of a run (default: ${displayPath(DEFAULT_CONFIG)})`)
    .option("--name <name>", "first part of the name of the run's folder; the config's name when left out")
    .option(
      "--resume <run>",
      "go on with a run from its newest checkpoint: its folder or name, or auto for the latest (of the config, if one is given)",
    )
    .option("--dry-run", "show what would be trained and the memory it takes; allocate nothing")
    .option(
      "--profile",
      "time the kernels of a step at the end: a table, and artifacts/profile.json in the run's folder for Perfetto or chrome://tracing",
    )
    .option("--quiet", "print the run's folder at the end and nothing else");
  return addTrainingFlags(addJsonFlag(addSettingFlag(command)))
    .addHelpText(
      "after",
      "\nA run that goes on keeps its own configuration; of the flags only a larger --max-steps may differ from it.\n" +
        "Its losses and weights are then the same, bit for bit, as if it had never been stopped.",
    )
    .action((flags: TrainFlags) => train(flags, runs));
}

async function train(flags: TrainFlags, runs: RunStore): Promise<void> {
  const display = new TrainDisplay(flags.quiet === true || flags.json === true);
  const { job, completed } = await jobOf(flags, runs, display);
  if (completed !== undefined) {
    const run = displayPath(job.resume!);
    if (flags.json) console.log(JSON.stringify({ run, status: "completed", ...completed }));
    else console.log(`${run} has done all its steps; --max-steps with a larger number trains it further`);
    return;
  }
  await ensureAdapter({ log: (line) => display.warn(line) });
  let dir = "";
  let times: KernelTime[] | undefined;
  const session = new TrainSession({
    job: { ...job, profile: flags.profile === true, tune: flags.dryRun !== true },
    begin: async (preview) => {
      preview.warnings.forEach((line) => display.warn(`warning: ${line}`));
      if (flags.dryRun) return void show(preview, job, flags.json === true);
      const recorder = await beginRun(runs, job, preview, (line) => display.warn(line));
      dir = recorder.dir;
      display.begin(preview, job.config, dir);
      return recorder;
    },
    onProgress: (progress) => display.update(progress),
    onSample: (line) => display.sample(line),
    onWarning: (line) => display.warn(line),
    onNote: (line) => display.note(line),
    onProfile: (measured) => times = measured,
  });
  using _interrupts = onInterrupt(
    () => {
      if (!session.hasBegun) {
        display.warn("interrupted before training began");
        Deno.exit(130);
      }
      session.stop();
      display.warn("interrupted: the running step ends and the state is saved; again to exit at once");
    },
    () => {
      session.abandon();
      Deno.exit(130);
    },
  );
  const result = await session.run();
  if (result === undefined) return;
  if (times !== undefined) {
    await writeFileAtomic(join(dir, "artifacts", "profile.json"), JSON.stringify(chromeTrace(times)));
  }
  if (flags.json) {
    const { accumulate_grad_batches: count } = job.config.training;
    const profile = times === undefined
      ? {}
      : { step_seconds: stepSeconds(times, count), profile: summarise(times) };
    console.log(JSON.stringify({ ...report(result, dir), ...profile }));
  } else {
    display.end(result, dir);
    if (times !== undefined && !flags.quiet) console.log(profileTable(times));
  }
  if (result.status === "interrupted") Deno.exitCode = 130;
}

async function jobOf(
  { configPath, resume, set, ...flags }: TrainFlags,
  runs: RunStore,
  display: TrainDisplay,
): Promise<RunToResume> {
  const overrides = { set, flags: { ...trainingFlags(flags), "tracking.name": flags.name } };
  if (resume === undefined || resume === "auto") {
    const config = await resolveRunConfig({ configPath: configPath ?? standardConfig(flags), ...overrides });
    if (resume === undefined) return { job: { config }, completed: undefined };
    const { runs_dir: runsDir, name } = config.tracking;
    const ofConfig = configPath === undefined && flags.name === undefined ? {} : { configName: name };
    const dir = await findRun("auto", runs, { runsDir, ...ofConfig });
    if (dir !== undefined) return await runToResume(dir, runs, overrides);
    display.note("there is no run to go on with, so a new one begins");
    return { job: { config }, completed: undefined };
  }
  const { tracking } = await resolveRunConfig({ configPath });
  const dir = await findRun(resume, runs, { runsDir: tracking.runs_dir });
  return await runToResume(dir!, runs, overrides);
}

/** What `--dry-run` shows. */
function show(preview: TrainingPreview, { config }: TrainingJob, json: boolean): void {
  const { model, parameters, trained_parameters, dataset, kernelChoices, memory, step } = preview;
  if (json) {
    const { adapter } = kernelChoices;
    console.log(
      JSON.stringify({ config, model, parameters, trained_parameters, dataset, adapter, memory, step }),
    );
  } else {
    console.log(`${toYaml(config)}\n${header(preview, config)}`);
  }
}

/** What `--json` prints at the end. */
function report(result: TrainingResult, dir: string) {
  const { status, steps, tokens, train_loss, val_loss, val_bits_per_byte, best, early_stopped } = result;
  const { tokens_per_second, seconds, sample } = result;
  return {
    run: displayPath(dir),
    status,
    steps,
    tokens,
    train_loss,
    val_loss,
    val_bits_per_byte,
    best_val_loss: best?.val_loss ?? null,
    best_step: best?.step ?? null,
    early_stopped,
    tokens_per_second,
    seconds,
    sample,
  };
}
