/**
 * The command `chatgot benchmark suite`: measures speed and accuracy, keeps the measurements, and compares them with those of
 * before. The exit status is 1 when something has regressed.
 */

import { join } from "path";
import { Command } from "commander";
import { displayPath, JsonlWriter, type Setting, timeStamp, UserError, userPath } from "../../common/mod.ts";
import { ensureAdapter, type Gpu, openGpu } from "../../gpu/mod.ts";
import { resolveRunConfig, type RunConfig } from "../run_config.ts";
import { measureSuite } from "../suite.ts";
import {
  compare,
  type Comparison,
  type Kind,
  KIND_NAMES,
  KINDS,
  type Measurement,
  quartiles,
  readMeasurements,
} from "../suite_compare.ts";
import { addJsonFlag, addSettingFlag, countFlag, numberFlag } from "./flags.ts";

const CONFIGS = join(import.meta.dirname ?? ".", "../../configs/models");

/** What is measured when nothing else is asked for: some two minutes on two CPU cores, as much on a GPU. */
const SOFTWARE_CONFIGS = ["chatgot_tiny_char"];
const GPU_CONFIGS = ["chatgot_tiny_char", "baby_char", "gpt2_small"];

interface SuiteFlags {
  configPath: string[];
  kind: Kind[];
  maxSteps?: number;
  out?: string;
  from?: string;
  compare?: string;
  tolerance?: number;
  set: Setting[];
  json?: boolean;
}

/** The command. */
export function benchmarkSuiteCommand(): Command {
  const command = new Command("suite")
    .description(
      "Measure training, generation and accuracy, keep the results and compare them with a baseline",
    )
    .option(
      "--config-path <yaml>",
      `config of a run to measure (repeat for more; default: ${SOFTWARE_CONFIGS}, on a GPU ${
        GPU_CONFIGS.join(", ")
      })`,
      (path: string, before: string[]) => [...before, path],
      [],
    )
    .option(
      "--kind <kind>",
      `measure this alone (repeat for more): ${KIND_NAMES.join(", ")}`,
      (kind: string, before: Kind[]) => [...before, kindOf(kind)],
      [],
    )
    .option(
      "--max-steps <count>",
      "steps that are timed, tokens that are timed, steps of a short training; what fits each when left out",
      countFlag("max-steps"),
    )
    .option(
      "--out <jsonl>",
      "file that the lines are added to (default: runs/benchmarks/<date>_<time>.jsonl)",
    )
    .option("--compare <jsonl>", "file of a suite to compare with")
    .option("--from <jsonl>", "measure nothing: take the measurements of this file")
    .option("--tolerance <part>", "part of the baseline that is no regression", numberFlag("tolerance"))
    .addHelpText(
      "after",
      "\ntrain      tokens a second of whole steps; generate: of decoding one sequence\n" +
        "loss       validation loss after a training of 100 steps, with three seeds\n" +
        "deviation  the doctor's largest deviation from float64, as a part of its tolerance\n\n" +
        "A ratio of more than 1 is better. It stands beside its spread, which goes from quartile to quartile. What is worse in\n" +
        "all of its spread, by more than the tolerance, has regressed, and the exit status is 1. Tolerances: " +
        `${KIND_NAMES.map((kind) => `${kind} ${100 * KINDS[kind].tolerance} %`).join(", ")}.`,
    );
  return addJsonFlag(addSettingFlag(command)).action(runSuite);
}

function kindOf(text: string): Kind {
  const kind = KIND_NAMES.find((name) => name === text);
  if (kind !== undefined) return kind;
  throw new UserError(`--kind: expected ${KIND_NAMES.join(", ")}, got ${text}`);
}

async function runSuite(flags: SuiteFlags): Promise<void> {
  // What is wrong with a file is told before minutes are spent.
  const baseline = flags.compare === undefined ? undefined : await readMeasurements(flags.compare);
  const { out, measurements } = flags.from === undefined
    ? await measure(flags)
    : { out: userPath(flags.from), measurements: await readMeasurements(flags.from) };
  const comparison = baseline === undefined ? undefined : compare(measurements, baseline, flags.tolerance);
  const ok = comparison?.every(({ verdict }) => verdict !== "regressed") ?? true;
  if (flags.json) {
    const compared = comparison === undefined ? {} : { comparison };
    console.log(JSON.stringify({ ok, out: displayPath(out), measurements, ...compared }));
  } else {
    console.log(comparison === undefined ? table(measurements) : comparisonTable(comparison));
    console.log(`\n${displayPath(out)}`);
  }
  if (!ok) Deno.exitCode = 1;
}

async function measure(flags: SuiteFlags): Promise<{ out: string; measurements: Measurement[] }> {
  const resolve = (configPath: string) => resolveRunConfig({ configPath, set: flags.set });
  let configs: RunConfig[] = await Promise.all(flags.configPath.map(resolve));
  await ensureAdapter();
  const gpu = await openGpu();
  try {
    if (configs.length === 0) {
      configs = await Promise.all(defaultConfigs(gpu).map((name) => resolve(join(CONFIGS, `${name}.yaml`))));
    }
    const out = userPath(flags.out ?? join("runs", "benchmarks", `${timeStamp(new Date())}.jsonl`));
    using file = await JsonlWriter.open(out);
    const measurements: Measurement[] = [];
    const suite = measureSuite({
      gpu,
      configs,
      kinds: flags.kind.length === 0 ? KIND_NAMES : flags.kind,
      max_steps: flags.maxSteps,
      onBegin: (kind, config) => console.error(`${kind} ${config}`),
    });
    for await (const measurement of suite) {
      file.append(measurement);
      measurements.push(measurement);
    }
    gpu.check();
    return { out, measurements };
  } finally {
    gpu.close();
  }
}

function defaultConfigs(gpu: Gpu): string[] {
  return gpu.profile === "gpu" ? GPU_CONFIGS : SOFTWARE_CONFIGS;
}

function table(measurements: Measurement[]): string {
  const rows = measurements.map(({ kind, config, repeats }) => {
    const [low, median, high] = quartiles(repeats).map(digits) as [string, string, string];
    return [kind, config, median, `${low} … ${high}`, KINDS[kind].unit];
  });
  return align([["kind", "config", "median", "quartiles", "unit"], ...rows]);
}

function comparisonTable(comparison: Comparison[]): string {
  const rows = comparison.map((c) => [
    c.kind,
    c.config,
    c.baseline === null ? "-" : digits(c.baseline),
    digits(c.now),
    c.ratio === null ? "-" : digits(c.ratio),
    c.ratio_low === null || c.ratio_high === null ? "-" : `${digits(c.ratio_low)} … ${digits(c.ratio_high)}`,
    c.verdict,
  ]);
  return align([["kind", "config", "baseline", "now", "ratio", "its spread", ""], ...rows]);
}

function digits(value: number): string {
  return String(Number(value.toPrecision(4)));
}

/** Rows as columns that stand below one another. */
function align(rows: string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd())
    .join("\n");
}
