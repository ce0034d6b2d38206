/** What `chatgot pipeline` shows: how it goes on standard error, a table of stages on standard output. */

import { displayPath, humanCount, humanDuration, Progress } from "../../common/mod.ts";
import type { PipelineReport, StageReport } from "../pipeline_report.ts";
import { outputPath } from "../pipeline_state.ts";
import type { PipelineHooks } from "../stages/stage.ts";
import { TrainDisplay } from "./train_display.ts";

/** Shows a pipeline while it goes on. */
export class PipelineDisplay {
  readonly #quiet: boolean;
  readonly #training: TrainDisplay;
  #isTraining = false;
  #progress: Progress | undefined;
  #label = "";

  /** @param quiet shows warnings alone */
  constructor(quiet: boolean) {
    this.#quiet = quiet;
    this.#training = new TrainDisplay(quiet);
  }

  /** To be handed to `runPipeline`. */
  get hooks(): PipelineHooks {
    return {
      onStage: (stage, action, why) => {
        this.end();
        this.#note(`${stage.padEnd(10)}${VERBS[action]}: ${why}`);
      },
      onProgress: (label, done, total) => {
        if (label !== this.#label) this.end();
        this.#label = label;
        const unit = label === "evaluate" ? "batch" : label === "generate" ? "piece" : "B";
        const quiet = this.#quiet || (unit === "B" && !Deno.stderr.isTerminal());
        this.#progress ??= new Progress({ label, total, unit, quiet });
        this.#progress.update(Math.min(done, total));
      },
      onTraining: (preview, config, dir) => {
        this.#isTraining = true;
        this.#training.begin(preview, config, dir);
      },
      onTrainingProgress: (progress) => this.#training.update(progress),
      onTrained: () => this.end(),
      onSample: (line) => this.#training.sample(line),
      onNote: (line) => this.#note(line),
      onWarning: (line) => this.warn(line),
    };
  }

  /** A line that is shown even when the rest is not. */
  warn(line: string): void {
    if (this.#isTraining) this.#training.warn(line);
    else if (this.#progress === undefined) console.error(line);
    else this.#progress.note(line);
  }

  #note(line: string): void {
    if (!this.#quiet) this.warn(line);
  }

  /** Ends the line of progress. */
  end(): void {
    if (this.#isTraining) this.#training.stop();
    this.#isTraining = false;
    this.#progress?.done();
    this.#progress = undefined;
    this.#label = "";
  }
}

const VERBS = { run: "begins", keep: "is kept", skip: "is skipped" } as const;

/**
 * The stages as a table.
 *
 * @param kind `plan` says what would be done, `status` what is done and what would be, `end` what was done
 */
export function table(report: PipelineReport, kind: "plan" | "status" | "end"): string {
  const { run, stages, config_name, status } = report;
  const rows = kind === "plan" ? planRows(stages) : statusRows(report, kind);
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column]! + 2)).join("").trimEnd()
  );
  return [
    ...lines,
    "",
    `config  ${config_name}`,
    ...(run === null ? [] : [`run     ${displayPath(run)}`]),
    ...(kind === "end" && status === "interrupted"
      ? [`to go on: chatgot pipeline --resume ${displayPath(run!)}`]
      : []),
  ].join("\n");
}

function planRows(stages: readonly StageReport[]): string[][] {
  const words = { run: "would run", keep: "is kept", skip: "is skipped" };
  return [
    ["stage", "plan", "why"],
    ...stages.map(({ stage, action, why }) => [stage, words[action], why]),
  ];
}

function statusRows({ run, stages }: PipelineReport, kind: "status" | "end"): string[][] {
  return [
    ["stage", "status", "duration", "outputs"],
    ...stages.map((stage) => [
      stage.stage,
      kind === "end" && stage.status === "done" && stage.action === "keep" ? "up to date" : stage.status,
      stage.seconds === null ? "" : humanDuration(stage.seconds),
      stage.status === "done" || stage.status === "running" ? outputs(run!, stage) : stage.why,
    ]),
  ];
}

/** What a stage made: what came out in a few words, and where it lies. */
function outputs(run: string, { stage, result, outputs }: StageReport): string {
  const [first] = outputs;
  if (first === undefined) return "";
  const path = displayPath(outputPath(run, first));
  const folder = path.slice(0, Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")));
  const number = (key: string) => Number(result[key]);
  switch (stage) {
    case "process":
      return `${folder}: ${humanCount(number("train_tokens"))} + ${humanCount(number("val_tokens"))} tokens`;
    case "optimize":
      return `${path}: ${number("trials")} trials`;
    case "train":
      return `${folder}: validation loss ${number("val_loss").toFixed(4)}`;
    case "evaluate":
      return `${path}: loss ${number("loss").toFixed(4)}, ${
        number("bits_per_byte").toFixed(4)
      } bits per byte`;
    case "generate":
      return `${path}: ${humanCount(number("tokens"))} tokens`;
  }
}
