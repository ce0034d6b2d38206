/**
 * ChatGoT's door: the public API for scripts, and the command line when run as the main module. The commands live in
 * their rooms; here they are hung on one tree, and errors are turned into what a user or a program can read.
 *
 * @module
 */

import { Command, CommanderError } from "commander";
import { UserError, VERSION } from "./common/mod.ts";
import { prepareCommand } from "./data/mod.ts";
import {
  createRun,
  dashboardCommand,
  experimentCommand,
  latestRun,
  readRun,
  reserveRun,
  resumeRun,
  runsCommand,
} from "./experiments/mod.ts";
import {
  endProcessByExit,
  pipelineCommands,
  type PipelineOptions,
  type PipelineRun,
  pipelineWith,
  type RunStore,
  type TrainedRun,
  type TrainOptions,
  trainWith,
} from "./pipeline/mod.ts";

export { UserError, type UserErrorPlace, VERSION } from "./common/mod.ts";
export {
  type Batch,
  type Dataset,
  type EncodeOptions,
  type EvaluationBatch,
  openDataset,
  type OpenOptions,
  prepare,
  type PrepareOptions,
  type Progressed,
  type Split,
  type StreamDecoder,
  type Tokenizer,
  type TokenizerJSON,
  type Tokens,
} from "./data/mod.ts";
export {
  type Attention,
  generate,
  ModelSession,
  openSession,
  type SessionOptions,
  type StepLine,
  type TextEnd,
  TextModel,
  type TextOptions,
  type ValidationLoss,
} from "./pipeline/mod.ts";
export {
  attentionChart,
  type AxisOptions,
  type Bar,
  barChart,
  type BarChartOptions,
  Chart,
  type ChartOptions,
  heatmap,
  type HeatmapOptions,
  lineChart,
  type LineChartOptions,
  type MimeBundle,
  type Point,
  type Series,
  seriesOf,
  sideBySide,
  spreadOf,
  Table,
  table,
  tokenLabels,
} from "./experiments/mod.ts";
export {
  ActiveRun,
  type ArtifactContent,
  listRuns,
  type MetricSeries,
  type MetricsSummary,
  type MetricSummary,
  readLines,
  readMetrics,
  type RunEnd,
  type RunEntry,
  type RunState,
  type RunStream,
  startRun,
  type StartRunOptions,
} from "./experiments/mod.ts";
export type { LoadedModel, ModelConfig, Weight, Weights } from "./models/mod.ts";
export type {
  PipelineHooks,
  PipelineOptions,
  PipelineRun,
  ScriptConfig,
  SectionKeys,
  StageName,
  StageReport,
  TrainedRun,
  TrainingProgress,
  TrainingResult,
  TrainOptions,
} from "./pipeline/mod.ts";

/** The run tracker, as the trainer asks for it. */
const runs: RunStore = { createRun, latestRun, readRun, reserveRun, resumeRun };

/**
 * Trains a model and records the run under `runs/`.
 *
 * @param options the config, the data and what goes before the config's keys; all may be left out
 * @returns the run's folder, its losses and its model, to be given to `generate`
 * @throws UserError when configuration, data, adapter or memory will not do, a loss is not finite, or nothing can be saved
 *
 * @example
 * ```ts ignore
 * import { prepare, train } from "./mod.ts";
 * const data = await prepare("moby-dick", { tokenizer: "char" });
 * const run = await train({ model: "configs/models/chatgot_tiny_char.yaml", data, training: { max_steps: 500 } });
 * console.log(run.dir, run.val_loss);
 * ```
 */
export function train(options: TrainOptions = {}): Promise<TrainedRun> {
  return trainWith(options, runs);
}

/**
 * Runs the pipeline (process → optimize → train → evaluate → generate) and records the run under `runs/`, or goes on with
 * one: stages that are up to date are kept.
 *
 * @param options the config, which run to go on with, which stages; all may be left out
 * @returns the run's folder and how each stage stands; the status is `interrupted` when `signal` came
 * @throws UserError when something is wrong with configuration, data, adapter or the run's files; what is done stays done
 *
 * @example
 * ```ts ignore
 * import { runPipeline } from "./mod.ts";
 * const run = await runPipeline({ model: "configs/models/chatgot_tiny_char.yaml", resume: "auto" });
 * console.log(run.dir, run.stages.map(({ stage, status }) => `${stage} ${status}`));
 * ```
 */
export function runPipeline(options: PipelineOptions = {}): Promise<PipelineRun> {
  return pipelineWith(options, runs);
}

if (import.meta.main) {
  const json = asksForJson(Deno.args);
  endProcessByExit();
  try {
    await commandTree().parseAsync(Deno.args, { from: "user" });
  } catch (error) {
    Deno.exitCode = report(error, json);
  }
  // A command may leave a worker or a device behind that would keep the process; its exit code counts.
  Deno.exit();
}

function commandTree(): Command {
  const root = new Command("chatgot")
    .description("Train GPT-style models on WebGPU and let them write")
    .version(VERSION, "--version", "print the version")
    .helpOption("-h, --help", "print help for a command")
    .enablePositionalOptions() // so that a command below a command gets the flags behind its name
    .addCommand(prepareCommand());
  pipelineCommands(runs).forEach((command) => root.addCommand(command));
  root.addCommand(runsCommand());
  root.addCommand(dashboardCommand());
  root.addCommand(experimentCommand(runs));
  throwUsageErrors(root);
  return root;
}

/** Makes commander throw what it would print and exit with, in the command and all below it. */
function throwUsageErrors(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => {} });
  command.commands.forEach(throwUsageErrors);
}

/** Whether `--json` stands among the flags; after `--` it is an argument like any other. */
function asksForJson(args: string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? args.length : end).includes("--json");
}

/** Prints an error and returns the exit code. A user's slip is one line; a fault of ours keeps its stack. */
function report(error: unknown, json: boolean): number {
  if (error instanceof CommanderError && isNoError(error)) return error.exitCode;
  const told = error instanceof CommanderError ? usageError(error) : error;
  if (!(told instanceof UserError)) console.error(told);
  else if (!json) console.error(`error: ${told.describe()}`);
  if (json) {
    const shown = told instanceof UserError
      ? told
      : new UserError(told instanceof Error ? told.message : String(told));
    console.log(JSON.stringify(shown));
  }
  return 1;
}

/** Help and version arrive as errors too; commander has printed them. */
function isNoError(error: CommanderError): boolean {
  return ["commander.help", "commander.helpDisplayed", "commander.version"].includes(error.code);
}

/** Commander's `error: unknown option '--stpes'\n(Did you mean --steps?)` as a user's error. */
function usageError(error: CommanderError): UserError {
  const message = error.message.replace(/^error: /, "");
  const [, what, suggestion] = /^([\s\S]*?)\n\(Did you mean (.*)\?\)$/.exec(message) ?? [];
  if (what === undefined) return new UserError(message, { hint: "--help lists what there is" });
  return new UserError(what, { hint: `did you mean ${suggestion}?` });
}
