/** What `chatgot experiment` shows while it runs: each run's beginning and end, progress with the time left. */

import { humanCount, Progress } from "../../common/mod.ts";
import type { ExperimentEntry, ExperimentState } from "./experiment_state.ts";
import { METRIC_INFO } from "./metrics.ts";
import type { ExperimentHooks, ExperimentProgress } from "./run_experiment.ts";

/** Work is counted in units that a laptop does some of each second. */
const UNIT = 1e9;

/** Shows one experiment. */
export class ExperimentDisplay implements ExperimentHooks {
  readonly #quiet: boolean;
  readonly #state: ExperimentState;
  #progress: Progress | undefined;

  /** @param quiet shows warnings alone */
  constructor(state: ExperimentState, quiet: boolean) {
    this.#state = state;
    this.#quiet = quiet;
  }

  /** A line that stays. */
  note(line: string): void {
    if (!this.#quiet) this.warn(line);
  }

  /** A line that stays and is shown even when the rest is not. */
  warn = (line: string): void => {
    if (this.#progress === undefined) console.error(line);
    else this.#progress.note(line);
  };

  /** A run begins or goes on, ends, or fails. */
  onRun = (entry: ExperimentEntry, what: "begins" | "ends" | "fails"): void => {
    if (what === "fails") this.warn(`${this.#place(entry)} failed: ${entry.error}`);
    else if (what === "begins") {
      this.note(`${this.#place(entry)} ${entry.run === null ? "begins" : "goes on"}`);
    } else this.note(`${this.#place(entry)} ${this.#outcome(entry)}`);
  };

  /** How the experiment stands. */
  onProgress = ({ entry, training, work }: ExperimentProgress): void => {
    const [done, total] = [work.done / UNIT, Math.ceil(work.total / UNIT)];
    this.#progress ??= new Progress({
      label: "experiment",
      total,
      start: Math.floor(done),
      unit: "GFLOP",
      quiet: this.#quiet,
    });
    const { step, max_steps, train_loss, doing } = training;
    const parts = [this.#place(entry), `step ${step}/${max_steps}`];
    if (train_loss !== null) parts.push(`loss ${train_loss.toFixed(3)}`);
    if (doing !== null) parts.push(doing);
    this.#progress.update(Math.floor(done), parts.join("  "));
  };

  /** The end. */
  done(): void {
    this.#progress?.done();
    this.#progress = undefined;
  }

  /** Which of how many runs it is, in the order in which they come to their end. */
  #place(entry: ExperimentEntry): string {
    const { runs } = this.#state;
    const over = runs.filter((run) =>
      run !== entry && (run.status === "completed" || run.status === "failed")
    );
    return `${over.length + 1}/${runs.length} ${entry.variant}, seed ${entry.seed}`;
  }

  #outcome({ status, scores, variant }: ExperimentEntry): string {
    const metric = this.#state.config.metrics[0]!;
    const { unit, better } = METRIC_INFO[metric];
    const score = scores.at(-1);
    const value = score === undefined
      ? ""
      : `: ${(better === "more" ? -score : score).toPrecision(5)} ${unit}`;
    if (status === "completed") return `ends${value}`;
    const { rungs, tokens_per_step } = this.#state.variants.find(({ name }) => name === variant)!;
    return `pauses after ${humanCount(rungs[scores.length - 1]! * tokens_per_step)} tokens${value}`;
  }
}
