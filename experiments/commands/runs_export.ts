/** `chatgot runs export`: runs in the forms of other tools. */

import { Command, Option } from "commander";
import { displayPath, UserError, userPath, writeFileAtomic } from "../../common/mod.ts";
import { metricsCsv } from "../export/csv.ts";
import { sendToMlflow } from "../export/mlflow.ts";
import { writeTensorBoard } from "../export/tensorboard.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { addRunsFlags, chosenRuns, type RunsFlags } from "./flags.ts";

interface ExportFlags extends RunsFlags {
  format: "csv" | "tensorboard" | "mlflow";
  to?: string;
  experiment: string;
}

/** The command. */
export function runsExportCommand(): Command {
  const command = new Command("export")
    .description("Give runs to other tools: a CSV file, TensorBoard's event files, an MLflow server")
    .argument("<run...>", "ids, names, beginnings of either, or folders")
    .addOption(
      new Option("--format <format>").choices(["csv", "tensorboard", "mlflow"]).makeOptionMandatory(),
    )
    .option(
      "--to <place>",
      "a file (csv; standard output when left out), a folder (tensorboard), an address (mlflow)",
    )
    .option("--experiment <name>", "mlflow: the experiment that gets the runs", "chatgot")
    .addHelpText(
      "after",
      `
  chatgot runs export baby --format csv --to baby.csv
  chatgot runs export baby tiny --format tensorboard --to tb      # then: tensorboard --logdir tb
  chatgot runs export baby --format mlflow --to http://127.0.0.1:5000

CSV and TensorBoard hold metrics (TensorBoard samples, too), MLflow also configuration, tags and notes.`,
    );
  return addRunsFlags(command).action(async (which: string[], flags: ExportFlags) => {
    const runs = await chosenRuns(which, flags);
    if (flags.format === "csv") await exportCsv(runs, flags);
    else if (flags.format === "tensorboard") await exportTensorBoard(runs, flags);
    else await exportMlflow(runs, flags);
  });
}

async function exportCsv(runs: RunEntry[], { to, json }: ExportFlags): Promise<void> {
  if (to === undefined) {
    if (json) throw new UserError("--json prints an object, so that the CSV needs --to <file>");
    try {
      for (const piece of metricsCsv(runs)) writeOut(piece);
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error; // who reads, such as `head`, has seen enough
    }
    return;
  }
  const file = userPath(to);
  await writeFileAtomic(file, [...metricsCsv(runs)].join(""));
  tell(json, { files: [displayPath(file)] }, [`wrote ${displayPath(file)}`]);
}

async function exportTensorBoard(runs: RunEntry[], { to, json }: ExportFlags): Promise<void> {
  if (to === undefined) throw new UserError("--to is missing: the folder that gets the event files");
  const files: string[] = [];
  for (const run of runs) files.push(displayPath(await writeTensorBoard(run, userPath(to))));
  tell(json, { files }, files.map((file) => `wrote ${file}`));
}

async function exportMlflow(runs: RunEntry[], { to, experiment, json }: ExportFlags): Promise<void> {
  if (to === undefined) {
    throw new UserError("--to is missing: the server's address", {
      hint: "for example: --to http://127.0.0.1:5000",
    });
  }
  const sent = await sendToMlflow(runs, to, experiment);
  tell(json, { runs: sent }, sent.map(({ id, mlflow_run_id }) => `${id} is ${mlflow_run_id} there`));
}

function tell(json: boolean | undefined, object: unknown, lines: string[]): void {
  if (json) console.log(JSON.stringify(object));
  else lines.forEach((line) => console.log(line));
}

function writeOut(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}
