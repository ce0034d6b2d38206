/** The command `chatgot export`: gives a model away in a form that others read. */

import { Command, Option } from "commander";
import { displayPath, humanCount, userPath } from "../../common/mod.ts";
import { type ExportedModel, exportModel } from "../export_model.ts";
import { parseSize } from "../model_files.ts";
import { addJsonFlag } from "./flags.ts";

interface ExportFlags {
  modelPath: string;
  to: string;
  maxShardSize: number;
  merge?: boolean;
  overwrite?: boolean;
  json?: boolean;
}

/** Hugging Face's own default. */
const DEFAULT_SHARD = "5GB";

/** The command. */
export function exportCommand(): Command {
  const command = new Command("export")
    .description("Write a model in Hugging Face's form: weights, configuration, tokenizer, model card")
    .requiredOption(
      "--model-path <folder>",
      "folder of a run (its newest checkpoint is taken), a checkpoint or a model",
    )
    .requiredOption("--to <folder>", "folder to write; it must not be there yet, or be empty")
    .addOption(new Option("--format <form>", "form to write").choices(["huggingface"]).default("huggingface"))
    .option(
      "--max-shard-size <size>",
      "weights that take more go into several files, such as 500MB or 2GiB",
      parseSize,
      parseSize(DEFAULT_SHARD),
    )
    .option(
      "--merge",
      "merge the adapters of a run that trained such; left out, they alone are written, for PEFT",
    )
    .option("--overwrite", "replace what stands in that folder")
    .addHelpText("after", "\nWeights keep their bytes and dtype: what was imported comes out as it went in.");
  return addJsonFlag(command).action(async (flags: ExportFlags) => {
    const { modelPath, to, maxShardSize, merge, overwrite, json } = flags;
    const report = await exportModel(userPath(modelPath), userPath(to), {
      max_shard_size: maxShardSize,
      merge: merge === true,
      overwrite: overwrite === true,
    });
    report.warnings.forEach((warning) => console.error(`warning: ${warning}`));
    const shown = { ...report, path: displayPath(report.path), model_path: displayPath(report.model_path) };
    console.log(json ? JSON.stringify(shown) : describe(shown));
  });
}

function describe({ path, model_path, step, parameters, tokenizer, files }: ExportedModel): string {
  return [
    `model       ${model_path}${step === null ? "" : `, step ${step}`}`,
    `parameters  ${humanCount(parameters)} (${parameters})`,
    `tokenizer   ${tokenizer ?? "none"}`,
    `written to  ${path}`,
    `files       ${files.join(", ")}`,
  ].join("\n");
}
