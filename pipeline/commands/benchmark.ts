/** The command `chatgot benchmark`: how fast this machine trains, generates and multiplies matrices. */

import { Argument, Command } from "commander";
import { humanBytes, type Setting } from "../../common/mod.ts";
import { prepare } from "../../data/mod.ts";
import {
  benchmarkMatmul,
  ensureAdapter,
  type Gpu,
  type KernelTime,
  type MatmulShape,
  type MatmulSpeed,
  openGpu,
  profileTable,
  stepSeconds,
  summarise,
} from "../../gpu/mod.ts";
import type { ModelConfig } from "../../models/mod.ts";
import { benchmarkGeneration, benchmarkTraining, peakMemoryBytes } from "../benchmark.ts";
import { findPeak, raisePeak, utilization } from "../peak.ts";
import { resolveRunConfig, type RunConfig } from "../run_config.ts";
import { modelOf, settledModel } from "../settled_model.ts";
import { benchmarkSuiteCommand } from "./benchmark_suite.ts";
import { addJsonFlag, addSettingFlag, countFlag, numberFlag } from "./flags.ts";

interface BenchmarkFlags {
  configPath?: string;
  batchSize?: number;
  maxSeqLength?: number;
  precision?: string;
  maxSteps?: number;
  profile?: boolean;
  set: Setting[];
  json?: boolean;
}

/** Seconds that each matrix product is measured for. */
const MATMUL_SECONDS = 1;

/** The product that adapters are compared by: a wide layer of a small GPT over 2048 tokens. */
const STANDARD = { M: 2048, N: 1536, K: 384 };

const MODES = ["NN", "NT", "TN"] as const;

/** The command. */
export function benchmarkCommand(): Command {
  const command = new Command("benchmark")
    .description("Measure how fast this machine trains, generates or multiplies matrices")
    .addArgument(new Argument("<what>", "what to measure").choices(["train", "generate", "matmul"]))
    .option(
      "--config-path <yaml>",
      "config of a run, such as configs/models/baby_char.yaml; defaults when left out",
    )
    .option("--batch-size <count>", "sequences at once", numberFlag("batch-size"))
    .option("--max-seq-length <tokens>", "tokens of a sequence", numberFlag("max-seq-length"))
    .option("--precision <kind>", "generate: how weights stand, f32 or f16")
    .option("--max-steps <count>", "train: steps to time; generate: tokens to time", countFlag("max-steps"))
    .option(
      "--profile",
      "train: also time each kernel of a step, by timestamps or by running it again and again",
    )
    .addHelpText(
      "after",
      "\ntrain     whole optimizer steps on the config's corpus, from initial weights\n" +
        "generate  greedy decoding of generation.num_samples sequences side by side, from initial weights\n" +
        "matmul    products in the three layouts of a step, on 2048 × 384 × 1536 and on the config's own shapes; the\n" +
        "          conversion of operands counts\n\n" +
        "`best` is the fastest group of steps (half a second each), `median` that of all groups. `mfu` is the work that the\n" +
        "model asks for at the median, as a part of the fastest product of matrices on this adapter, `peak_gflops`, which is\n" +
        "measured once and kept in <runs_dir>/.cache/peak.json.",
    );
  command.enablePositionalOptions().addCommand(benchmarkSuiteCommand()); // whose flags are its own
  return addJsonFlag(addSettingFlag(command)).action(async (what: What, flags: BenchmarkFlags) => {
    const config = await resolveRunConfig({
      configPath: flags.configPath,
      set: flags.set,
      flags: {
        "training.batch_size": flags.batchSize,
        "training.max_seq_length": flags.maxSeqLength,
        "generation.precision": flags.precision,
      },
    });
    await ensureAdapter();
    const gpu = await openGpu();
    try {
      let times: KernelTime[] | undefined;
      const onProfile = flags.profile ? (measured: KernelTime[]) => void (times = measured) : undefined;
      const measured = await measures[what](gpu, config, flags.maxSteps, onProfile);
      const report = {
        config: config.tracking.name,
        peak_memory_bytes: peakMemoryBytes(),
        ...measured,
        adapter: gpu.adapter.name,
      };
      gpu.check();
      if (flags.json) {
        console.log(JSON.stringify(times === undefined ? report : { ...report, profile: summarise(times) }));
      } else {
        console.log(describe(report));
        if (times !== undefined) console.log(`\n${profileTable(times)}`);
      }
    } finally {
      gpu.close();
    }
  });
}

type What = "train" | "generate" | "matmul";

type Measure = (
  gpu: Gpu,
  config: RunConfig,
  maxSteps?: number,
  onProfile?: (times: KernelTime[]) => void,
) => Promise<object>;

/** Each gives flat keys for `--json`; `matmul` a list of products beside. */
const measures: Record<What, Measure> = {
  async train(gpu, config, maxSteps, onProfile) {
    const dataset = await prepare(config.data);
    const model = modelOf(config, dataset.tokenizer.vocab_size);
    const { batch_size, max_seq_length, accumulate_grad_batches } = config.training;
    let parts = {};
    const { repeats: _, ...speed } = await benchmarkTraining(
      gpu,
      model,
      config.training,
      dataset,
      maxSteps,
      onProfile && ((times) => {
        const { forward, backward, recomputed, optimizer } = stepSeconds(times, accumulate_grad_batches);
        parts = {
          forward_seconds: forward,
          backward_seconds: backward,
          recomputed_seconds: recomputed,
          optimizer_seconds: optimizer,
        };
        onProfile(times);
      }),
    );
    const peak_memory_bytes = peakMemoryBytes(); // without that of finding the peak
    const peak = await findPeak(gpu, config.tracking.runs_dir);
    const mfu = utilization(speed.model_flops_per_token, speed.tokens_per_second_median, peak);
    return {
      batch_size,
      max_seq_length,
      accumulate_grad_batches,
      ...speed,
      mfu,
      peak_gflops: peak,
      peak_memory_bytes,
      ...parts,
    };
  },

  async generate(gpu, config, maxSteps) {
    const model = await settledModel(config);
    const { precision, num_samples } = config.generation;
    const { repeats: _, ...speed } = await benchmarkGeneration(gpu, model, config.training.seed, maxSteps, {
      precision,
      sequences: num_samples,
    });
    return { batch_size: num_samples, precision, max_seq_length: model.n_positions, ...speed };
  },

  async matmul(gpu, config) {
    const model = await settledModel(config);
    const { batch_size, max_seq_length } = config.training;
    const standard: Record<string, number> = {};
    const products = [];
    for (const { name, ...shape } of shapes(model, batch_size * max_seq_length)) {
      const speed = { name, ...await benchmarkMatmul(gpu, shape, MATMUL_SECONDS) };
      if (name === "standard") standard[`gflops_${shape.mode.toLowerCase()}`] = speed.gflops_best;
      products.push(speed);
    }
    const fastest = Math.max(...products.map(({ gflops_best }) => gflops_best));
    await raisePeak(gpu, config.tracking.runs_dir, fastest);
    return {
      batch_size,
      max_seq_length,
      gflops: Math.min(...Object.values(standard)),
      ...standard,
      products,
    };
  },
};

/** The standard product and those of a step of `rows` tokens, each in three layouts: forward, input's and weight's gradient. */
function shapes(model: ModelConfig, rows: number): (MatmulShape & { name: string })[] {
  const { n_embd: C, n_head, n_kv_head, n_inner } = model;
  const qkv = (n_head + 2 * n_kv_head) * C / n_head;
  const layers = { c_attn: [C, qkv], "attn.c_proj": [C, C], c_fc: [C, n_inner], "mlp.c_proj": [n_inner, C] };
  return [
    ...MODES.map((mode) => ({ name: "standard", mode, ...STANDARD })),
    ...Object.entries(layers).flatMap(([name, [from, to]]) => [
      { name, mode: "NN" as const, M: rows, N: to!, K: from! },
      { name, mode: "NT" as const, M: rows, N: from!, K: to! },
      { name, mode: "TN" as const, M: from!, N: to!, K: rows },
    ]),
  ];
}

function describe(report: object): string {
  return Object.entries(report).flatMap(([name, value]) => {
    if (Array.isArray(value)) return [name, ...value.map(productLine)];
    const shown = name.endsWith("bytes")
      ? humanBytes(value)
      : typeof value === "number"
      ? round(value)
      : value;
    return `${name.replaceAll("_", " ").padEnd(28)}${shown}`;
  }).join("\n");
}

function productLine(
  { name, mode, M, N, K, gflops_best, gflops_median }: MatmulSpeed & { name: string },
): string {
  const size = `${M} × ${K} × ${N}`;
  return `  ${name.padEnd(14)}${mode}  ${size.padEnd(22)}${gflops_best.toFixed(1).padStart(8)} best ${
    gflops_median.toFixed(1).padStart(8)
  } median GFLOP/s`;
}

/** Four digits of a number that is no whole one. */
function round(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(4));
}
