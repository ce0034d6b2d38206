/**
 * The command `chatgot tune`: finds the fastest tiles for the kernels of a config's training step on this machine, keeps them for the
 * runs to come and prints what they give. The exit status is 130 after Ctrl-C, which keeps what was found.
 */

import { Command } from "commander";
import { displayPath, onInterrupt, Progress, type Setting } from "../../common/mod.ts";
import { type Choice, ensureAdapter, openGpu, type TunedKernel } from "../../gpu/mod.ts";
import { cacheFile } from "../adapter_cache.ts";
import { checkMemory, leastMemory } from "../memory.ts";
import { resolveRunConfig } from "../run_config.ts";
import { settledModel } from "../settled_model.ts";
import { tuneModel, type TuningReport } from "../tune_model.ts";
import { keepTuned, knownChoices, TUNING_FILE } from "../tuning_cache.ts";
import {
  addJsonFlag,
  addSettingFlag,
  addTrainingFlags,
  DEFAULT_CONFIG,
  numberFlag,
  trainingFlags,
} from "./flags.ts";

interface TuneFlags {
  configPath?: string;
  seconds: number;
  json?: boolean;
  set: Setting[];
  /** The keys of the section `training`, in camel case. */
  [key: string]: unknown;
}

/** The command. */
export function tuneCommand(): Command {
  const command = new Command("tune")
    .description("Find the fastest tiles for a config's kernels on this machine, for the runs to come")
    .option("--config-path <yaml>", `config of a run (default: ${displayPath(DEFAULT_CONFIG)})`)
    .option("--seconds <seconds>", "time to spend", numberFlag("seconds"), 60)
    .addHelpText(
      "after",
      "\nWhat is found depends on the shapes: give the batch size and sequence length that you will train with. It is kept\n" +
        "in <runs_dir>/.cache/tuning.json, where `train` finds it; a run keeps the tiles that it began with. A tile counts\n" +
        "when its result is right and it is 3 % faster than the default; docs/tuning.md tells more. Let nothing else run\n" +
        "meanwhile.",
    );
  return addTrainingFlags(addJsonFlag(addSettingFlag(command))).action(tune);
}

async function tune({ configPath, seconds, json, set, ...flags }: TuneFlags): Promise<void> {
  const config = await resolveRunConfig({
    configPath: configPath ?? DEFAULT_CONFIG,
    set,
    flags: trainingFlags(flags),
  });
  const model = await settledModel(config);
  await ensureAdapter({ log: (line) => console.error(line) });
  const gpu = await openGpu();
  const { runs_dir } = config.tracking;
  let isStopped = false;
  let progress: Progress | undefined;
  try {
    checkMemory({ total: leastMemory(model, config.training) }, gpu);
    using _interrupts = onInterrupt(() => isStopped = true, () => Deno.exit(130));
    const report = await tuneModel(gpu, model, config.training, {
      seconds,
      known: await knownChoices(gpu, runs_dir, (line) => console.error(line)),
      isStopped: () => isStopped,
      onProgress(done, total, doing) {
        progress ??= new Progress({ label: "tune", total, unit: "kernel", quiet: json === true });
        progress.update(done, doing);
      },
      onFound: (found) => keepTuned(gpu, runs_dir, [found]),
    });
    progress?.done();
    gpu.check();
    const cache = displayPath(cacheFile(runs_dir, TUNING_FILE));
    if (json) {
      console.log(
        JSON.stringify({ config: config.tracking.name, adapter: gpu.adapter.name, cache, ...flat(report) }),
      );
    } else console.log(`${table(report)}\n\n${gain(report)}\nkept in ${cache}`);
    if (isStopped) Deno.exitCode = 130;
  } finally {
    gpu.close();
  }
}

/** The report for `--json`: of each kernel what the table tells. */
function flat({ kernels, ...report }: TuningReport) {
  return { kernels: kernels.map(({ site: _, flops: __, ...kernel }) => kernel), ...report };
}

function table({ kernels }: TuningReport): string {
  const width = Math.max(6, ...kernels.map(({ kernel }) => kernel.length)) + 2;
  const head = `${"kernel".padEnd(width)}calls default ms    best ms    gain  tile`;
  return [head, ...kernels.map((kernel) => row(kernel, width))].join("\n");
}

function row(
  { kernel, calls, default_seconds, seconds, default: standard, choice }: TunedKernel,
  width: number,
): string {
  const ms = (value: number) => (value * 1000).toFixed(3).padStart(11);
  const ratio = `${(default_seconds / seconds).toFixed(2)} x`.padStart(8);
  const tile = choice === standard ? "default" : describe(choice);
  return `${kernel.padEnd(width)}${String(calls).padStart(5)} ${ms(default_seconds)}${
    ms(seconds)
  }${ratio}  ${tile}`;
}

/** A tile in a few words, such as `broadcast tile_m=32 tile_n=4 k_unroll=4 workgroup=16x1 block=2x4`. */
function describe(choice: Choice): string {
  return Object.entries(choice).map(([key, value]) =>
    key === "form" ? value : `${key}=${Array.isArray(value) ? value.join("x") : value}`
  ).join(" ");
}

function gain({ kernels, kernels_total, default_seconds, seconds, step }: TuningReport): string {
  const pair = (before: number, after: number) =>
    `${(before * 1000).toFixed(2)} ms with the defaults, ${
      (after * 1000).toFixed(2)
    } ms with the best tiles: ${(before / after).toFixed(3)} x as fast`;
  const missed = kernels_total - kernels.length;
  return [
    `these kernels, once through the model: ${pair(default_seconds, seconds)}`,
    ...(step === null ? [] : [`a whole step, measured: ${pair(step.default_seconds, step.seconds)}`]),
    ...(missed === 0
      ? []
      : [`time did not suffice for ${missed} of ${kernels_total} kernels: give more --seconds`]),
  ].join("\n");
}
