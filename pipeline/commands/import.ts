/** The command `chatgot import`: takes over a model of Hugging Face's form. */

import { Command } from "commander";
import { displayPath, humanCount, userPath } from "../../common/mod.ts";
import { type ImportedModel, importModel } from "../import_model.ts";
import { addJsonFlag } from "./flags.ts";

interface ImportFlags {
  from: string;
  to: string;
  overwrite?: boolean;
  json?: boolean;
}

/** The command. */
export function importCommand(): Command {
  const command = new Command("import")
    .description("Take over a GPT-2 model in Hugging Face's form, ready to generate, evaluate and fine-tune")
    .requiredOption(
      "--from <folder>",
      "folder with config.json, model.safetensors (or shards with their index), and the tokenizer's files",
    )
    .requiredOption("--to <folder>", "folder to write the model to; it must not be there yet, or be empty")
    .option("--overwrite", "replace what stands in that folder")
    .addHelpText(
      "after",
      "\nWeights keep their bytes and dtype. Tensors that are no parameters (attention masks, a head that is tied to the\n" +
        "embedding) are left out and named.",
    );
  return addJsonFlag(command).action(async ({ from, to, overwrite, json }: ImportFlags) => {
    const report = await importModel(userPath(from), userPath(to), { overwrite: overwrite === true });
    const shown = { ...report, path: displayPath(report.path) };
    console.log(json ? JSON.stringify(shown) : describe(shown));
  });
}

function describe({ path, parameters, dtypes, left_out, tokenizer, files }: ImportedModel): string {
  const stored = Object.entries(dtypes).map(([dtype, count]) => `${count} tensors of ${dtype}`).join(", ");
  const reasons = Map.groupBy(left_out, ({ reason }) => reason);
  return [
    `model       ${path}`,
    `parameters  ${humanCount(parameters)} (${parameters}), ${stored}`,
    `tokenizer   ${tokenizer === null ? "none" : `${tokenizer.vocab_size} tokens`}`,
    ...[...reasons].map(([reason, list]) =>
      `left out    ${list.map(({ name }) => name).join(", ")} (${reason})`
    ),
    `files       ${files.join(", ")}`,
  ].join("\n");
}
