/** The command `chatgot evaluate`: how well a model predicts text that it was not trained on. */

import { basename } from "path";
import { Command, Option } from "commander";
import { displayPath, Progress, readText, type Setting, UserError, userPath } from "../../common/mod.ts";
import { type Dataset, datasetOfText, prepare, type Split, type Tokenizer } from "../../data/mod.ts";
import { ensureAdapter } from "../../gpu/mod.ts";
import { type EvaluationReport, evaluationReport } from "../evaluation_report.ts";
import { unknownCharacters } from "../generate_text.ts";
import { findModel, type FoundModel } from "../text_model.ts";
import { addJsonFlag, addSettingFlag, countFlag } from "./flags.ts";

interface EvaluateFlags {
  modelPath: string;
  split: Split;
  file?: string;
  batchSize?: number;
  maxSeqLength?: number;
  stride?: number;
  set: Setting[];
  json?: boolean;
}

/** Tokens that pass at once through a model that belongs to no run. */
const TOKENS_AT_ONCE = 2048;

/** The command. */
export function evaluateCommand(): Command {
  const command = new Command("evaluate")
    .description("Measure how well a model predicts a text: loss, perplexity, bits per byte")
    .requiredOption(
      "--model-path <folder>",
      "folder of a run (its newest checkpoint is taken), a checkpoint or a model",
    )
    .addOption(
      new Option("--split <split>", "part of the run's corpus, all of which is read").choices([
        "val",
        "train",
      ])
        .default("val"),
    )
    .option("--file <text>", "a text file to evaluate on, and not the run's corpus")
    .option("--batch-size <count>", "windows at once; the run's when left out", countFlag("batch-size"))
    .option(
      "--max-seq-length <tokens>",
      "tokens of a window; the run's when left out, or all that the model can see",
      countFlag("max-seq-length"),
    )
    .option(
      "--stride <tokens>",
      "let windows slide on by so many tokens; side by side when left out",
      countFlag("stride"),
    )
    .addHelpText(
      "after",
      "\nEvery token but the first is predicted exactly once, from what stands before it in its window. With a --stride\n" +
        "that is at least max-seq-length - stride tokens: slower, and nearer to what the model can do. Loss is in nats\n" +
        "per token; bits per byte compare models of different tokenizers.",
    );
  return addJsonFlag(addSettingFlag(command)).action(evaluate);
}

async function evaluate(flags: EvaluateFlags): Promise<void> {
  const found = await findModel(flags.modelPath, { set: flags.set });
  const { loaded, tokenizer, config, isOfRun } = found;
  if (tokenizer === undefined) {
    throw new UserError("has no tokenizer, so text cannot be turned into tokens", {
      file: displayPath(loaded.path),
      hint: "give the folder of a run, or of a model with its tokenizer.json",
    });
  }
  loaded.warnings.forEach((warning) => console.error(`warning: ${warning}`));
  const { n_positions } = loaded.config;
  const max_seq_length = flags.maxSeqLength ??
    (isOfRun ? Math.min(config.training.max_seq_length, n_positions) : n_positions);
  if (max_seq_length > n_positions) {
    throw new UserError(
      `--max-seq-length ${max_seq_length} is more than the model's n_positions ${n_positions}`,
    );
  }
  const { stride = max_seq_length } = flags;
  if (stride > max_seq_length) {
    throw new UserError(`--stride ${stride} is more than --max-seq-length ${max_seq_length}`, {
      hint: "some tokens would never be predicted; choose a smaller one",
    });
  }
  const dataset = flags.file === undefined
    ? await datasetOf(found, tokenizer)
    : await textFile(flags.file, tokenizer);
  const split = flags.file === undefined ? flags.split : "val";
  const batch_size = flags.batchSize ??
    (isOfRun ? config.training.batch_size : Math.ceil(TOKENS_AT_ONCE / max_seq_length));
  await ensureAdapter();
  let bar: Progress | undefined;
  const result = await evaluationReport(loaded, dataset, {
    split,
    batch_size,
    max_seq_length,
    stride,
    progress: (done, total) => {
      bar ??= new Progress({ label: "evaluate", total, unit: "batch", quiet: flags.json === true });
      bar.update(done);
    },
  });
  bar?.done();
  const report = flags.file === undefined ? result : { ...result, split: null };
  console.log(flags.json ? JSON.stringify(report) : describe(report));
}

/** The run's corpus in the model's own tokens. */
async function datasetOf({ config, isOfRun }: FoundModel, tokenizer: Tokenizer): Promise<Dataset> {
  // A model that came with its tokenizer, or was made from one that did, knows the text by no other.
  if (!isOfRun || config.training.init_from !== undefined) {
    return await prepare(config.data, {}, { tokenizer });
  }
  const dataset = await prepare(config.data);
  const same = JSON.stringify(dataset.tokenizer.toJSON()) === JSON.stringify(tokenizer.toJSON());
  return same ? dataset : await prepare(config.data, {}, { tokenizer }); // the corpus has changed since
}

async function textFile(path: string, tokenizer: Tokenizer): Promise<Dataset> {
  const text = await readText(userPath(path));
  const unknown = unknownCharacters(text, tokenizer);
  if (unknown.length > 0) {
    console.error(
      `note: the model does not know ${unknown.length} of the text's characters: ${list(unknown)}`,
    );
  }
  return datasetOfText(text, tokenizer, basename(path));
}

/** The first few characters, as JSON shows them. */
function list(characters: string[]): string {
  const shown = characters.slice(0, 10).map((character) => JSON.stringify(character)).join(" ");
  return characters.length > 10 ? `${shown} …` : shown;
}

function describe(report: EvaluationReport): string {
  return [
    `model           ${report.model_path}${report.step === null ? "" : `, step ${report.step}`}`,
    `text            ${report.data}${
      report.split === null ? "" : `, split ${report.split}`
    }, ${report.tokens} tokens`,
    `loss            ${report.loss.toFixed(4)} nats per token`,
    `perplexity      ${report.perplexity.toFixed(3)}`,
    `bits per byte   ${report.bits_per_byte.toFixed(4)}`,
  ].join("\n");
}
