/**
 * The command `chatgot experiment`: compares models by training each of them with several seeds, goes on where it was stopped or
 * killed, and writes what came out. The exit status is 0 at the end, 1 when a run failed or something is wrong, 130 after Ctrl-C.
 */

import { join } from "path";
import { Command } from "commander";
import {
  displayPath,
  exists,
  humanBytes,
  humanCount,
  onInterrupt,
  parseSetting,
  type Setting,
  UserError,
  userPath,
} from "../../common/mod.ts";
import { ensureAdapter, openGpu } from "../../gpu/mod.ts";
import type { RunStore } from "../../pipeline/mod.ts";
import { writePage } from "../report/write_page.ts";
import { writeReports } from "../report/write_reports.ts";
import { readExperiment } from "./experiment_config.ts";
import { ExperimentDisplay } from "./experiment_display.ts";
import { type ExperimentPlan, planExperiment, withTimeBudget } from "./experiment_plan.ts";
import {
  createExperiment,
  experimentsFolder,
  type ExperimentState,
  lockExperiment,
  readState,
  unfinishedExperiment,
} from "./experiment_state.ts";
import { runExperiment, Stopper } from "./run_experiment.ts";
import { measureStepRate } from "./train_run.ts";

interface ExperimentFlags {
  configPath?: string;
  resume?: string;
  restart?: boolean;
  dryRun?: boolean;
  report?: string;
  page?: string;
  quiet?: boolean;
  json?: boolean;
  set: Setting[];
}

/** The command. `runs` is where runs are kept. */
export function experimentCommand(runs: RunStore): Command {
  return new Command("experiment")
    .description(
      "Compare models: train each with several seeds, and say which differences are larger than their spread",
    )
    .option("--config-path <yaml>", "the experiment, such as configs/experiments/quickstart.yaml")
    .option("--dry-run", "show what would run: steps, work and memory of each variant; train nothing")
    .option("--restart", "begin anew, even if an experiment of this file has not come to its end")
    .option(
      "--resume <folder>",
      "go on with this experiment and try its failed runs again: its folder, or the name of it",
    )
    .option(
      "--report <folder>",
      "write the reports of an experiment again, as far as it has come, and run nothing",
    )
    .option(
      "--page <folder>",
      "also write a page about it there, with its plots; what is written below its results stays",
    )
    .option("--quiet", "print the experiment's folder at the end and nothing else")
    .option("--json", "print one JSON object and nothing else on standard output")
    .option(
      "--set <key=value>",
      "a key of the experiment, such as budget.tokens=1e6, or of all its run configs, such as training.batch_size=4 (repeat for more)",
      (text: string, before: Setting[]) => [...before, parseSetting(text)],
      [],
    )
    .addHelpText(
      "after",
      "\nThe same command goes on with an experiment that was stopped or killed, without redoing what is done. Ctrl-C saves and\n" +
        "stops; a second one stops at once. Results: results.yaml, report.md and report.html in its folder below runs/experiments/.",
    )
    .action((flags: ExperimentFlags) => experiment(flags, runs));
}

async function experiment(flags: ExperimentFlags, runs: RunStore): Promise<void> {
  const quiet = flags.quiet === true || flags.json === true;
  if (flags.report !== undefined) return await report(flags.report, flags);
  const { plan, dir: found } = await planOf(flags, quiet);
  if (flags.dryRun) return show(plan, flags.json === true);
  const stopper = new Stopper();
  using _interrupts = onInterrupt(
    () => {
      stopper.stop();
      console.error("interrupted: the running step ends and the state is saved; again to exit at once");
    },
    () => {
      stopper.abandon();
      Deno.exit(130);
    },
  );
  const begun = found ?? await begin(plan, stopper, quiet);
  if (begun === undefined) return void (Deno.exitCode = 130);
  using _lock = await lockExperiment(begun);
  const state = await readState(begun);
  state.config = plan.file.config; // what does not decide the results may have changed, such as the description
  if (flags.resume !== undefined) retryFailed(state);
  const display = new ExperimentDisplay(state, quiet);
  display.note(
    `experiment  ${displayPath(begun)}${
      found === undefined ? "" : ", goes on"
    }\nCtrl-C saves the state and ends.`,
  );
  try {
    await runExperiment({ plan, dir: begun, state, runs, stopper, hooks: display });
  } finally {
    display.done();
  }
  await end(begun, state, flags);
}

/** Reads and plans the experiment, and finds the one that is to go on. */
async function planOf(
  { configPath, resume, restart, dryRun, set }: ExperimentFlags,
  quiet: boolean,
): Promise<{ plan: ExperimentPlan; dir: string | undefined }> {
  const resumed = resume === undefined ? undefined : await findExperiment(resume);
  const path = configPath ?? (resumed === undefined ? undefined : (await readState(resumed)).file);
  if (path === undefined) {
    throw new UserError("--config-path is missing", {
      hint: "for example configs/experiments/quickstart.yaml",
    });
  }
  const file = await readExperiment(path, set);
  await ensureAdapter({ log: (line) => console.error(line) });
  const gpu = await openGpu();
  try {
    const plan = await planExperiment(file, gpu, (line) => quiet || console.error(line));
    if (dryRun) return { plan, dir: undefined };
    const runsDir = userPath(file.config.output.runs_dir);
    const dir = resumed ?? (restart ? undefined : await unfinishedExperiment(runsDir, plan.digest));
    if (resumed !== undefined && (await readState(resumed)).digest !== plan.digest) {
      throw new UserError("was begun with another configuration", {
        file: displayPath(resumed),
        hint: `leave out --resume to begin anew, or restore ${file.yaml.file}`,
      });
    }
    return { plan, dir };
  } finally {
    gpu.close();
  }
}

/** Makes the folder of a new experiment. Undefined when it was stopped while rates were measured for a budget of time. */
async function begin(plan: ExperimentPlan, stopper: Stopper, quiet: boolean): Promise<string | undefined> {
  const runsDir = userPath(plan.file.config.output.runs_dir);
  const pilots = join(experimentsFolder(runsDir), `.pilot_${crypto.randomUUID().slice(0, 8)}`);
  const seconds = plan.file.config.budget?.seconds ?? 0;
  const affordable = await withTimeBudget(plan, async ({ name }, config) => {
    if (stopper.isStopped) return undefined;
    if (!quiet) console.error(`measuring the speed of ${name}`);
    const warn = (line: string) => console.error(line);
    const onSession = stopper.watch.bind(stopper);
    try {
      return await measureStepRate({ config, dir: pilots, seconds, onSession, warn });
    } catch (error) {
      warn(`${name} cannot be measured: ${error instanceof Error ? error.message : error}`); // its runs will fail alone
      return undefined;
    } finally {
      await Deno.remove(pilots, { recursive: true }).catch(() => {});
    }
  });
  if (stopper.isStopped) return undefined;
  return (await createExperiment(runsDir, affordable, new Date())).dir;
}

/** Failed runs are tried again, and those that were stopped may go on. */
function retryFailed(state: ExperimentState): void {
  for (const entry of state.runs) {
    if (entry.status === "failed" || entry.status === "stopped") {
      entry.status = entry.run === null ? "pending" : "begun";
    }
  }
  state.ended = null;
}

/** The folder of an experiment, by its path or its name. */
async function findExperiment(which: string): Promise<string> {
  for (const dir of [userPath(which), join(experimentsFolder(userPath("runs")), which)]) {
    if (await exists(join(dir, "experiment.json"))) return dir;
  }
  throw new UserError(`there is no experiment ${which}`, {
    file: displayPath(userPath(which)),
    hint: "give its folder, or the name of one in runs/experiments/",
  });
}

async function report(which: string, flags: ExperimentFlags): Promise<void> {
  const dir = await findExperiment(which);
  await end(dir, await readState(dir), flags, false);
}

/** Writes the reports and tells how it ended. */
async function end(
  dir: string,
  state: ExperimentState,
  flags: ExperimentFlags,
  counts = true,
): Promise<void> {
  const { summary, files } = await writeReports(dir, state);
  if (flags.page !== undefined) files.push(await writePage(userPath(flags.page), state));
  const { status } = state;
  const failed = state.runs.filter((entry) => entry.status === "failed");
  if (flags.json) {
    console.log(JSON.stringify({
      experiment: displayPath(dir),
      status,
      failed: failed.map(({ variant, seed, error }) => ({ variant, seed, error })),
      files: files.map(displayPath),
      results: summary.results,
    }));
  } else if (flags.quiet) console.log(displayPath(dir));
  else {
    console.log(summary.text);
    for (const { variant, seed, error } of failed) {
      console.log(`failed      ${variant}, seed ${seed}: ${error}`);
    }
    console.log(files.map((file) => `written     ${displayPath(file)}`).join("\n"));
    if (status === "interrupted") console.log("to go on    give the same command again");
  }
  if (!counts) return;
  if (status === "interrupted") Deno.exitCode = 130;
  else if (status === "failed") Deno.exitCode = 1;
}

/** What `--dry-run` shows. */
function show({ planned, file: { config } }: ExperimentPlan, json: boolean): void {
  if (json) return console.log(JSON.stringify({ config, variants: planned }));
  const rows = planned.map((plan) => [
    plan.name,
    `${humanCount(plan.parameters)} parameters`,
    `${plan.tokenizer} ${plan.vocab_size}`,
    config.budget?.seconds === undefined
      ? `${plan.rungs.join(" → ")} steps of ${plan.tokens_per_step} tokens`
      : "",
    config.budget?.seconds === undefined ? `${humanCount(plan.max_steps * plan.flops_per_step)}FLOP` : "",
    humanBytes(plan.device_memory_bytes),
  ]);
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  console.log(
    rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd()).join("\n"),
  );
  const { seeds, budget, sweep } = config;
  console.log(
    `${planned.length} variants × ${seeds.length} seeds${sweep == null ? "" : `, ${sweep.method}`}; budget: ${
      budget == null ? "each its own max_steps" : JSON.stringify(budget)
    }`,
  );
}
