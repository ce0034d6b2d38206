/** The command `chatgot plan`: what a training would take in memory and work, before anything is allocated. */

import { Command } from "commander";
import { humanBytes, humanCount, type Setting } from "../../common/mod.ts";
import { ensureAdapter, openGpu } from "../../gpu/mod.ts";
import { type PlanReport, planReport } from "../plan_report.ts";
import { resolveRunConfig } from "../run_config.ts";
import { settledModel } from "../settled_model.ts";
import { addJsonFlag, addSettingFlag, numberFlag } from "./flags.ts";

interface PlanFlags {
  configPath?: string;
  batchSize?: number;
  maxSeqLength?: number;
  set: Setting[];
  json?: boolean;
}

/** The command. Its exit status is 1 when the training would not fit. */
export function planCommand(): Command {
  const command = new Command("plan")
    .description("Show what a training would take in memory and work, without allocating anything")
    .option(
      "--config-path <yaml>",
      "config of a run, such as configs/models/baby_char.yaml; defaults when left out",
    )
    .option("--batch-size <count>", "sequences at once", numberFlag("batch-size"))
    .option("--max-seq-length <tokens>", "tokens of a sequence", numberFlag("max-seq-length"))
    .addHelpText("after", "\nThe exit status is 1 when the training would not fit the memory that is free.");
  return addJsonFlag(addSettingFlag(command)).action(async (flags: PlanFlags) => {
    const { configPath, batchSize, maxSeqLength, set } = flags;
    const config = await resolveRunConfig({
      configPath,
      set,
      flags: { "training.batch_size": batchSize, "training.max_seq_length": maxSeqLength },
    });
    const model = await settledModel(config);
    await ensureAdapter();
    const gpu = await openGpu();
    try {
      const report = planReport(model, config.training, gpu);
      console.log(
        flags.json ? JSON.stringify({ config: config.tracking.name, ...report }) : describe(report),
      );
      if (report.fits === false) Deno.exitCode = 1;
    } finally {
      gpu.close();
    }
  });
}

function describe(report: PlanReport): string {
  const row = (name: string, bytes: number) =>
    `  ${name.replaceAll("_", " ").padEnd(60)}${humanBytes(bytes).padStart(10)}`;
  const { batch_size: B, max_seq_length: T, accumulate_grad_batches: n } = report;
  return [
    `adapter       ${report.adapter}`,
    `parameters    ${humanCount(report.parameters)} (${report.parameters})`,
    `a step        ${report.tokens_per_step} tokens = ${B} × ${T}${
      n === 1 ? "" : ` × ${n} micro-batches`
    }, ` +
    `${humanCount(report.flops_per_step)}FLOP, ${report.dispatches} kernels${
      n === 1 ? "" : " a micro-batch"
    }`,
    "memory",
    ...Object.entries(report.memory).map(([name, bytes]) => row(name, bytes)),
    "largest tensors",
    ...report.largest_tensors.map(({ name, kind, bytes }) => row(`${kind} ${name}`, bytes)),
    `limits        a buffer ${humanBytes(report.max_buffer_bytes)}, a binding ${
      humanBytes(report.max_storage_binding_bytes)
    } (larger tensors are bound in slices)`,
    verdict(report),
  ].join("\n");
}

function verdict({ fits, available_bytes, memory, batch_size }: PlanReport): string {
  if (fits === null) return "The adapter does not tell how much memory it has.";
  const numbers = `${humanBytes(memory.total)} of the ${humanBytes(available_bytes!)} that are free`;
  if (fits) return `It takes ${numbers}.`;
  const advice = batch_size > 1
    ? `lower training.batch_size (accumulate_grad_batches makes up for it) or max_seq_length`
    : `lower training.max_seq_length or the model's size`;
  return `It does not fit: it would take ${numbers}. To do: ${advice}.`;
}
