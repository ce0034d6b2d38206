/**
 * The command `chatgot pipeline`: from a text to a trained, measured model that writes, and on from wherever it stopped. The
 * exit status is 0 at the end, 130 after Ctrl-C, 1 when something is wrong.
 */

import { Command, Option } from "commander";
import { displayPath, onInterrupt, type Setting, UserError } from "../../common/mod.ts";
import { runPipeline } from "../pipeline.ts";
import { DEFAULT_BUDGET_SECONDS, type PipelineRequest, planPipeline } from "../pipeline_plan.ts";
import type { PipelineReport } from "../pipeline_report.ts";
import { STAGE_NAMES, type StageName } from "../pipeline_state.ts";
import type { RunStore } from "../recorder.ts";
import {
  addJsonFlag,
  addSettingFlag,
  addTrainingFlags,
  DEFAULT_CONFIG,
  numberFlag,
  standardConfig,
  trainingFlags,
} from "./flags.ts";
import { PipelineDisplay, table } from "./pipeline_display.ts";

interface PipelineFlags {
  configPath?: string;
  name?: string;
  resume?: string;
  stage: StageName | "all";
  forceRestart?: boolean;
  skipProcess?: boolean;
  skipOptimization?: boolean;
  autoOptimize?: boolean;
  optimizationTimeBudget?: number;
  dryRun?: boolean;
  status?: boolean;
  json?: boolean;
  quiet?: boolean;
  set: Setting[];
  /** The keys of the section `training`, in camel case. */
  [key: string]: unknown;
}

/** The command. `runs` is where runs are kept. */
export function pipelineCommand(runs: RunStore): Command {
  const command = new Command("pipeline")
    .description(
      "Prepare the text, search for settings, train, evaluate and let the model write; go on where it stopped",
    )
    .option("--config-path <yaml>", `config of a run (default: ${displayPath(DEFAULT_CONFIG)})`)
    .option("--name <name>", "first part of the name of the run's folder; the config's name when left out")
    .option(
      "--resume <run>",
      "go on with a run at the first stage that is not up to date: its folder or name, or auto for the latest pipeline " +
        "(of the config, if one is given)",
    )
    .addOption(
      new Option("--stage <name>", "the only stage to do; those before it must be up to date")
        .choices([...STAGE_NAMES, "all"]).default("all"),
    )
    .option("--force-restart", "with --resume: do the stages again although they are up to date")
    .option("--skip-process", "take the dataset as it was prepared before; the text is not looked at again")
    .option(
      "--auto-optimize",
      "search for batch size, learning rate, weight decay and warmup before training",
    )
    .option(
      "--optimization-time-budget <seconds>",
      `search, for so long at most (${DEFAULT_BUDGET_SECONDS} with --auto-optimize alone)`,
      secondsFlag,
    )
    .option("--skip-optimization", "do not search; what the run has chosen already stays in use")
    .option("--dry-run", "show which stages would be done and why; do and write nothing")
    .option("--status", "show how the latest pipeline stands, or that of --resume; do and write nothing")
    .option("--quiet", "print the run's folder at the end and nothing else");
  return addTrainingFlags(addJsonFlag(addSettingFlag(command)))
    .addHelpText(
      "after",
      "\nStages: process → optimize → train → evaluate → generate. A stage is done again when what it made is missing or\n" +
        "damaged, or when the keys of the config or the files that it was made from have changed. Edit the run's\n" +
        "config.yaml, or give --config-path or flags with --resume. See docs/pipeline.md.",
    )
    .action((flags: PipelineFlags) => pipeline(flags, runs));
}

function secondsFlag(text: string): number {
  const seconds = numberFlag("optimization-time-budget")(text);
  if (seconds > 0) return seconds;
  throw new UserError(`--optimization-time-budget: expected a number of seconds above 0, got ${text}`);
}

async function pipeline(flags: PipelineFlags, runs: RunStore): Promise<void> {
  const request = requestOf(flags);
  if (flags.status || flags.dryRun) {
    const report = await planPipeline(request, runs);
    if (flags.status && report.run === null) {
      throw new UserError("there is no pipeline yet", { hint: "begin one: chatgot pipeline" });
    }
    console.log(flags.json ? json(report) : table(report, flags.dryRun ? "plan" : "status"));
    return;
  }
  const display = new PipelineDisplay(flags.quiet === true || flags.json === true);
  const stop = new AbortController();
  using _interrupts = onInterrupt(
    () => {
      display.warn("interrupted: what is under way ends and the state is saved; again to exit at once");
      stop.abort();
    },
    () => Deno.exit(130),
  );
  const report = await runPipeline({ ...request, signal: stop.signal }, runs, display.hooks)
    .finally(() => display.end());
  if (flags.json) console.log(json(report));
  else if (flags.quiet) console.log(displayPath(report.run!));
  else console.log(table(report, "end"));
  if (report.status === "interrupted") Deno.exitCode = 130;
}

function requestOf({ configPath, name, resume, set, ...flags }: PipelineFlags): PipelineRequest {
  if (flags.forceRestart && resume === undefined) {
    throw new UserError("--force-restart does again what a run has done, and --resume says which run", {
      hint: "give --resume <run> or --resume auto; without them a new run begins in any case",
    });
  }
  const which = resume ?? (flags.status ? "auto" : undefined);
  return {
    configPath,
    standardPath: standardConfig(flags),
    set,
    flags: { ...trainingFlags(flags), "tracking.name": name },
    resume: which,
    stage: flags.stage,
    forceRestart: flags.forceRestart,
    skipProcess: flags.skipProcess,
    skipOptimization: flags.skipOptimization,
    autoOptimize: flags.autoOptimize,
    optimizationTimeBudget: flags.optimizationTimeBudget,
  };
}

/** What `--json` prints. */
function json({ run, ...report }: PipelineReport): string {
  return JSON.stringify({ run: run === null ? null : displayPath(run), ...report });
}
