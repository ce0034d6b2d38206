/** What `chatgot train` shows: notes and progress on standard error, the end on standard output. */

import { displayPath, humanBytes, humanCount, humanDuration, Progress } from "../../common/mod.ts";
import { differences } from "../../models/mod.ts";
import type { TrainingPreview } from "../open_training.ts";
import type { RunConfig } from "../run_config.ts";
import type { TrainingProgress, TrainingResult } from "../training_result.ts";

/** Shows one training. */
export class TrainDisplay {
  readonly #quiet: boolean;
  #progress: Progress | undefined;
  #total = 0;
  #isCompiled = false;
  /** The last step whose evaluation was shown, or was in the run before. */
  #evaluated = 0;
  readonly #startedAt = performance.now();

  /** @param quiet shows warnings alone */
  constructor(quiet: boolean) {
    this.#quiet = quiet;
  }

  /** A line that stays. */
  note(line: string): void {
    if (!this.#quiet) this.warn(line);
  }

  /** A line that stays and is shown even when the rest is not. */
  warn(line: string): void {
    if (this.#progress === undefined) console.error(line);
    else this.#progress.note(line);
  }

  /** Training begins or goes on. */
  begin(preview: TrainingPreview, config: RunConfig, dir: string): void {
    const { step } = preview;
    this.note(header(preview, config));
    this.note(
      `run         ${displayPath(dir)}${step === 0 ? "" : `, goes on after step ${step}`}\n` +
        "Ctrl-C saves the state and ends.",
    );
    const { max_steps } = config.training;
    this.#total = max_steps;
    this.#evaluated = step;
    this.#progress = this.#newProgress(step);
    this.#progress.update(step, "first step, compiling");
  }

  #newProgress(start: number): Progress {
    return new Progress({ label: "train", total: this.#total, start, quiet: this.#quiet });
  }

  /** How training stands. */
  update({ step, train_loss, val_loss, evaluated, tokens_per_second, doing }: TrainingProgress): void {
    if (!this.#isCompiled && train_loss !== null) {
      this.#isCompiled = true;
      this.#progress?.done();
      this.#progress = this.#newProgress(step); // the first step tells nothing of how long the others will take
    }
    if (evaluated > this.#evaluated) {
      this.#evaluated = evaluated;
      this.note(`step ${evaluated}  train loss ${loss(train_loss)}  validation loss ${loss(val_loss)}`);
    }
    const parts = [`loss ${loss(train_loss)}`, `val ${loss(val_loss)}`];
    if (tokens_per_second !== null) parts.push(`${humanCount(tokens_per_second)} tok/s`);
    if (doing !== null) parts.push(doing);
    this.#progress?.update(step, parts.join("  "));
  }

  /** A text that the model wrote. */
  sample({ step, prompt, text }: { step: number; prompt: string; text: string }): void {
    this.note(`--- a sample at step ${step} ---\n${(prompt + text).replace(/^\n+/, "")}\n---`);
  }

  /** The end of the line of progress. */
  stop(): void {
    this.#progress?.done();
    this.#progress = undefined;
  }

  /** The end, on standard output. */
  end(result: TrainingResult, dir: string): void {
    this.stop();
    console.log(this.#quiet ? displayPath(dir) : this.#summary(result, dir));
  }

  #summary(result: TrainingResult, dir: string): string {
    const { status, steps, tokens, train_loss, val_loss, val_bits_per_byte: bits, best, early_stopped } =
      result;
    const took = humanDuration((performance.now() - this.#startedAt) / 1000);
    const ended = status === "interrupted" ? "interrupted" : early_stopped ? "stopped early" : "done";
    const whole = status === "completed" ? " over the whole validation split" : "";
    return [
      `${ended} after step ${steps}: ${humanCount(tokens)} tokens, ${took}`,
      `train loss       ${loss(train_loss)} nats per token`,
      `validation loss  ${loss(val_loss)}${whole}${
        bits === null ? "" : `, ${bits.toFixed(4)} bits per byte`
      }`,
      ...(best === null ? [] : [`best in between  ${loss(best.val_loss)} at step ${best.step}`]),
      `run              ${displayPath(dir)}`,
      ...nextCommands(status, dir).map((line, i) => `${i === 0 ? "to go on" : ""}`.padEnd(17) + line),
    ].join("\n");
  }
}

/** What a training is, for people. */
export function header(preview: TrainingPreview, { training: t, tracking }: RunConfig): string {
  const { model: m, parameters, trained_parameters: trained, dataset, kernelChoices, memory } = preview;
  const others = differences(m);
  const accumulated = t.accumulate_grad_batches === 1 ? "" : ` × ${t.accumulate_grad_batches} micro-batches`;
  return [
    `config      ${tracking.name}`,
    `model       ${humanCount(parameters)} parameters${
      trained === parameters ? "" : `, ${humanCount(trained)} of them trained`
    }: ${m.n_layer} layers, ${m.n_head} heads, ${m.n_embd} wide, ` +
    `context ${m.n_positions}, vocabulary ${m.vocab_size}`,
    ...(others.length === 0 ? [] : [`            ${others.join(", ")}`]),
    `data        ${dataset.name}: ${humanCount(dataset.train_tokens)} tokens to train on, ${
      humanCount(dataset.val_tokens)
    } for validation`,
    `training    ${t.max_steps} steps of ${t.batch_size} × ${t.max_seq_length} tokens${accumulated}, ${t.optimizer}, ` +
    `learning rate ${t.learning_rate} (${t.lr_schedule})`,
    `adapter     ${kernelChoices.adapter}`,
    `memory      ${humanBytes(memory.total)} on the device`,
  ].join("\n");
}

/** What can be done with a run after its end. */
export function nextCommands(status: TrainingResult["status"], dir: string): string[] {
  const shown = displayPath(dir);
  const folder = /^[\w./:\\-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", `'\\''`)}'`;
  const command = Deno.build.standalone ? "chatgot" : "deno task";
  const resume = `${command} train --resume ${folder}`;
  const generate = `${command} generate --model-path ${folder} --prompt 'Call me '`;
  return status === "interrupted" ? [resume, generate] : [generate, `${resume} --max-steps <more>`];
}

function loss(value: number | null): string {
  return value === null ? "-" : value.toFixed(4);
}
