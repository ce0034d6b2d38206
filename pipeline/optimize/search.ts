/**
 * The search within a budget of seconds: first how a step is cut into micro-batches, by measured throughput; then learning
 * rate, weight decay and warmup, by successive halving over short trainings. What was measured decides, and all of it is
 * in the report: the same measurements give the same choice.
 */

import { basename, dirname } from "path";
import { UserError } from "../../common/mod.ts";
import type { RunConfig } from "../run_config.ts";
import {
  type Batch,
  batches,
  candidates,
  MOST_CANDIDATES,
  type Settings,
  shortTraining,
} from "./candidates.ts";
import { best, better, type Costs, planHalving } from "./halving.ts";
import { chooseBatch, type MeasuredBatch, STEPS as BATCH_STEPS } from "./throughput.ts";
import { dropLeftWeights, Trial, type TrialOutcome, type TrialSurroundings } from "./trial.ts";

/** What the search found, with its evidence. */
export interface SearchReport {
  /** The keys that were searched with the values that are chosen, as `section.key`. */
  choice: Record<string, unknown>;
  adapter: string | null;
  budget_seconds: number;
  seconds: number;
  tokens_per_step: number;
  /** Ways to cut a step into micro-batches, in the order in which they were measured. */
  batches: MeasuredBatch[];
  /** Steps at which settings were compared. */
  rungs: number[];
  candidates: MeasuredSettings[];
  /** What the budget had no time for, and what needed no trial. */
  left_out: string[];
}

/** Settings that were tried. */
export interface MeasuredSettings extends Settings {
  /** Validation loss at each rung that was reached, in nats per token; null where the training failed. */
  losses: (number | null)[];
  /** Names of the trial's run. */
  run: string | null;
  why: string | null;
}

/** Part of the time that may go into batches, so that some is left for settings. */
const BATCH_SHARE = 0.4;

/** Part of what is left that a search plans with; the rest is for what takes longer than thought. */
const PLANNED = 0.9;

/** What a search works with. */
export interface SearchOptions extends Omit<TrialSurroundings, "deadline" | "parent"> {
  /** The run's folder. */
  dir: string;
  config: RunConfig;
  budgetSeconds: number;
  /** Gets a line about each trial. */
  note: (line: string) => void;
}

/**
 * Searches.
 *
 * @throws Interrupted when it was asked to end; UserError when not even the configuration's own values can be trained
 */
export async function search(options: SearchOptions): Promise<SearchReport> {
  return await new Search(options).run();
}

class Search {
  readonly #o: SearchOptions;
  readonly #began = performance.now();
  readonly #deadline: number;
  readonly #report: SearchReport;
  readonly #trials: Trial[] = [];

  constructor(options: SearchOptions) {
    this.#o = options;
    const { budgetSeconds, config: { training } } = options;
    this.#deadline = this.#began + 1000 * budgetSeconds;
    this.#report = {
      choice: {},
      adapter: null,
      budget_seconds: budgetSeconds,
      seconds: 0,
      tokens_per_step: training.batch_size * training.accumulate_grad_batches * training.max_seq_length,
      batches: [],
      rungs: [],
      candidates: [],
      left_out: [],
    };
  }

  async run(): Promise<SearchReport> {
    const report = this.#report;
    const { dir, runs } = this.#o;
    await dropLeftWeights(dirname(dir), basename(dir), runs);
    try {
      const { batch, costs } = await this.#searchBatch();
      const settings = await this.#searchSettings(batch, costs);
      report.choice = Object.fromEntries(
        Object.entries({ ...batch, ...settings }).map(([key, value]) => [`training.${key}`, value]),
      );
      report.seconds = (performance.now() - this.#began) / 1000;
      return report;
    } finally {
      for (const trial of this.#trials) await trial.dropWeights();
    }
  }

  /** Seconds that are left. */
  get #left(): number {
    return (this.#deadline - performance.now()) / 1000;
  }

  /** A trial of some keys of the section `training`. */
  #trial(training: RunConfig["training"], deadline = this.#deadline): Trial {
    const { config, dir } = this.#o;
    const tracking = { ...config.tracking, name: `${config.tracking.name}_trial`, monitor_interval: 0 };
    const trial = new Trial(
      { ...config, training, tracking },
      { ...this.#o, parent: basename(dir), deadline },
    );
    this.#trials.push(trial);
    return trial;
  }

  /** Measures batches while there is time, larger ones first for as long as they are faster, then smaller ones. */
  async #searchBatch(): Promise<{ batch: Batch; costs: Costs | undefined }> {
    const { batch_size, accumulate_grad_batches } = this.#o.config.training;
    const own = { batch_size, accumulate_grad_batches };
    const all = batches(own);
    const at = all.findIndex((each) => each.batch_size === batch_size);
    const { batches: measured, left_out } = this.#report;
    const first = await this.#measureBatch(own, Infinity);
    const again = await this.#measureAgain(first); // what was compiled once starts sooner
    const until = this.#began + 1000 * this.#report.budget_seconds * BATCH_SHARE;
    const directions = [all.slice(at + 1), all.slice(0, at).reverse()];
    for (const direction of directions) {
      let before = measured[0]!;
      for (const [i, batch] of direction.entries()) {
        const rest = direction.slice(i).map((each) => each.batch_size).join(", ");
        if (performance.now() + 1000 * first.outcome.seconds > until) {
          left_out.push(`batch size ${rest}: no time`);
          break;
        }
        await this.#measureBatch(batch, this.#deadline);
        const now = measured.at(-1)!;
        if (now.status === "refused" && batch.batch_size < batch_size) continue; // a smaller one may fit
        if ((now.tokens_per_second ?? 0) > (before.tokens_per_second ?? 0)) {
          before = now;
          continue;
        }
        const beyond = direction.slice(i + 1).map((each) => each.batch_size).join(", ");
        if (beyond !== "") left_out.push(`batch size ${beyond}: ${now.batch_size} was no faster`);
        break;
      }
    }
    const batch = chooseBatch(measured);
    const chosen = measured.findIndex((each) => each.batch_size === batch.batch_size);
    const { tokens_per_second, status, why } = measured[chosen]!;
    if (tokens_per_second === null && status !== "stopped") {
      throw new UserError(`the search could train with no batch: ${why ?? "nothing was measured"}`);
    }
    return { batch, costs: this.#costs(again, tokens_per_second) };
  }

  /** What trials take, from one that went on; undefined where nothing was measured. */
  #costs(again: TrialOutcome | undefined, tokens_per_second: number | null): Costs | undefined {
    const own = this.#report.batches[0]!.tokens_per_second;
    if (again === undefined || own === null || tokens_per_second === null) return undefined;
    const { eval_batches, accumulate_grad_batches } = this.#o.config.training;
    const { tokens_per_step } = this.#report;
    const start = Math.max(0, again.seconds - BATCH_STEPS * tokens_per_step / own);
    const step = tokens_per_step / tokens_per_second;
    // A forward pass is a third of the work of a micro-batch.
    return { start, step, evaluation: eval_batches * step / accumulate_grad_batches / 3 };
  }

  async #measureBatch(batch: Batch, deadline: number): Promise<{ trial: Trial; outcome: TrialOutcome }> {
    const whole = { ...this.#o.config.training, ...batch };
    const training = {
      ...shortTraining(whole, { steps: 2 * BATCH_STEPS, interval: 0 }),
      log_interval: BATCH_STEPS / 4,
    };
    const trial = this.#trial(training, deadline);
    const outcome = await trial.advance(BATCH_STEPS);
    const { status, why, run, memory, rates, adapter } = outcome;
    this.#report.adapter ??= adapter;
    const measured = {
      ...batch,
      tokens_per_second: rateOf(rates),
      memory_bytes: memory,
      run,
      status,
      why,
    };
    this.#report.batches.push(measured);
    const rate = measured.tokens_per_second === null
      ? why ?? "stopped by the budget"
      : `${Math.round(measured.tokens_per_second)} tok/s`;
    this.#o.note(`batch ${batch.batch_size} × ${batch.accumulate_grad_batches}  ${rate}`);
    return { trial, outcome };
  }

  /** Lets the configuration's own batch go on, if there is time: it tells more of its rate, and how long going on takes. */
  async #measureAgain(
    { trial, outcome }: { trial: Trial; outcome: TrialOutcome },
  ): Promise<TrialOutcome | undefined> {
    if (outcome.status !== "reached" || this.#left <= 0) return undefined;
    const again = await trial.advance(2 * BATCH_STEPS, this.#deadline);
    const measured = this.#report.batches[0]!;
    const rates = [measured.tokens_per_second, rateOf(again.rates)].filter((rate) => rate !== null);
    measured.tokens_per_second = rates.length > 0 ? Math.max(...rates) : null;
    return again.status === "reached" ? again : undefined;
  }

  /** Compares settings by halving, as many as there is time for. */
  async #searchSettings(batch: Batch, costs: Costs | undefined): Promise<Settings> {
    const whole = { ...this.#o.config.training, ...batch };
    const all = candidates(whole).slice(0, MOST_CANDIDATES);
    const { rungs, candidates: measured, left_out } = this.#report;
    const plan = costs === undefined
      ? undefined
      : planHalving(PLANNED * this.#left, costs, { most: all.length, maxSteps: whole.max_steps });
    if (plan === undefined) {
      left_out.push("learning rate, weight decay and warmup: no time to compare two trainings");
      return all[0]!;
    }
    rungs.push(...plan.rungs);
    if (plan.candidates < all.length) left_out.push(`${all.length - plan.candidates} settings: no time`);
    const steps = plan.rungs.at(-1)!;
    const trials = all.slice(0, plan.candidates).map((settings) => {
      measured.push({ ...settings, losses: [], run: null, why: null });
      return this.#trial(shortTraining({ ...whole, ...settings }, { steps, interval: plan.rungs[0]! }));
    });
    const due: number[] = [];
    let going = trials.map((_, i) => i);
    for (const [rung, step] of plan.rungs.entries()) {
      due.push(going.length);
      for (const i of going) {
        if (this.#left <= 0) {
          left_out.push(`settings ${i + 1} at step ${step}: no time`);
          continue;
        }
        await this.#measureSettings(trials[i]!, measured[i]!, step);
      }
      going = better(finite(measured), rung);
      if (going.length === 0) break;
    }
    return settingsOf(all[best(finite(measured), due) ?? 0]!);
  }

  async #measureSettings(trial: Trial, measured: MeasuredSettings, step: number): Promise<void> {
    const { status, why, run, loss } = await trial.advance(step);
    measured.run = run;
    if (status === "stopped") measured.why = `stopped by the budget before step ${step}`;
    else {
      measured.losses.push(status === "reached" ? loss : null);
      measured.why = why;
    }
    const { learning_rate, weight_decay, warmup_steps } = measured;
    const found = loss === null ? measured.why : `validation loss ${loss.toFixed(4)}`;
    this.#o.note(
      `learning rate ${learning_rate}, weight decay ${weight_decay}, warmup ${warmup_steps}, step ${step}: ${found}`,
    );
  }
}

/** Tokens per second in the fastest interval but the first, which has the compilation in it; null where there is none. */
function rateOf(rates: readonly number[]): number | null {
  return rates.length > 1 ? Math.max(...rates.slice(1)) : null;
}

/** Losses as numbers: NaN where the training failed. */
function finite(measured: readonly MeasuredSettings[]): { losses: number[] }[] {
  return measured.map(({ losses }) => ({ losses: losses.map((loss) => loss ?? NaN) }));
}

function settingsOf({ learning_rate, min_learning_rate, weight_decay, warmup_steps }: Settings): Settings {
  return { learning_rate, min_learning_rate, weight_decay, warmup_steps };
}
