/**
 * Running an experiment: one run after the other until none is left, its state on the disk before and after each. A run that fails
 * is recorded and costs no other; a full disk ends all at once, since every other run would fail likewise.
 */

import { join } from "path";
import { displayPath, exists, tellsOfFullDisk, UserError, userPath } from "../../common/mod.ts";
import type { RunStore, TrainingProgress, TrainingResult } from "../../pipeline/mod.ts";
import type { ExperimentPlan } from "./experiment_plan.ts";
import { type ExperimentEntry, type ExperimentState, writeState } from "./experiment_state.ts";
import { readRunData, scoreAt } from "./run_data.ts";
import { type NextRun, nextRun, workOf } from "./schedule.ts";
import { trainRun } from "./train_run.ts";
import { runConfigOf } from "./variants.ts";

/** How an experiment stands, for people. */
export interface ExperimentProgress {
  entry: ExperimentEntry;
  training: TrainingProgress;
  /** Floating-point operations done, and about how many there are in all. */
  work: { done: number; total: number };
}

/** Who hears what an experiment does. */
export interface ExperimentHooks {
  /** A run begins or goes on, ends, or fails. */
  onRun: (entry: ExperimentEntry, what: "begins" | "ends" | "fails") => void;
  onProgress: (progress: ExperimentProgress) => void;
  warn: (line: string) => void;
}

/** Ends an experiment early: what is asked to stop saves its state first. */
export class Stopper {
  #session: { stop: () => void; abandon: () => void } | undefined;
  #stopped = false;

  /** Whether an end was asked for. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Asks for an end after the running step. */
  stop(): void {
    this.#stopped = true;
    this.#session?.stop();
  }

  /** Marks the running run as interrupted, when the process is about to end without waiting. */
  abandon(): void {
    this.#session?.abandon();
  }

  /** Takes the training that is to be stopped from now on. */
  watch(session: { stop: () => void; abandon: () => void }): void {
    this.#session = session;
    if (this.#stopped) session.stop();
  }
}

/** What an experiment is run with. */
export interface RunExperimentOptions {
  plan: ExperimentPlan;
  /** Its folder, and its state, which is brought up to date. */
  dir: string;
  state: ExperimentState;
  runs: RunStore;
  stopper: Stopper;
  hooks: ExperimentHooks;
}

/**
 * Runs what is not done yet, to the end or until it is stopped. How it stands then is in the state.
 *
 * @throws UserError when the disk is full or the state cannot be written; what was finished is kept
 */
export async function runExperiment(options: RunExperimentOptions): Promise<void> {
  await new ExperimentRun(options).run();
}

class ExperimentRun {
  readonly #o: RunExperimentOptions;
  readonly #steps = new Map<ExperimentEntry, number>();

  constructor(options: RunExperimentOptions) {
    this.#o = options;
    for (const entry of options.state.runs) this.#steps.set(entry, stepsReached(options.state, entry));
  }

  async run(): Promise<void> {
    const { state, dir, stopper } = this.#o;
    await this.#forgetLostRuns();
    state.status = "running";
    try {
      for (let next = nextRun(state); next !== undefined && !stopper.isStopped; next = nextRun(state)) {
        await this.#advance(next);
      }
    } catch (error) {
      state.status = "interrupted";
      await writeState(dir, state).catch(() => {}); // what led here matters more
      throw error;
    }
    if (stopper.isStopped && nextRun(state) !== undefined) state.status = "interrupted";
    else {
      for (const entry of state.runs) {
        if (entry.status === "pending" || entry.status === "begun") entry.status = "stopped";
      }
      state.status = state.runs.some(({ status }) => status === "failed") ? "failed" : "completed";
      state.ended = new Date().toISOString();
    }
    await writeState(dir, state);
  }

  /** Runs whose folders somebody has deleted are done again. */
  async #forgetLostRuns(): Promise<void> {
    for (const entry of this.#o.state.runs) {
      if (entry.run === null || await exists(join(this.#runsDir, entry.run, "run.json"))) continue;
      Object.assign(entry, { run: null, status: "pending", scores: [] });
      this.#steps.set(entry, 0);
    }
  }

  get #runsDir(): string {
    return userPath(this.#o.state.config.output.runs_dir);
  }

  /** Trains a run up to its rung, and notes how that went. */
  async #advance({ entry, variant, rung }: NextRun): Promise<void> {
    const { plan, dir, state, runs, stopper, hooks } = this.#o;
    const { config } = state;
    const found = plan.variants.find(({ name }) => name === variant.name)!;
    let trouble: string | undefined;
    let result: TrainingResult | undefined;
    hooks.onRun(entry, "begins");
    try {
      const [first, pauses] = [variant.rungs[0]!, variant.rungs.length > 1];
      result = await trainRun({
        runs,
        parent: state.id,
        name: `${variant.name}, seed ${entry.seed}`,
        tags: [config.name],
        config: await runConfigOf(found, config, {
          seed: entry.seed,
          name: runName(config.name, variant.name, entry.seed),
          max_steps: variant.max_steps,
          eval_interval: pauses
            ? dividing(first, variant.max_steps / config.monitoring.evaluations)
            : undefined,
        }),
        dataset: plan.datasets.get(variant.name),
        dir: entry.run === null ? undefined : join(this.#runsDir, entry.run),
        pauseAt: variant.rungs[rung],
        onSession: (session) => {
          stopper.watch(session);
        },
        onBegin: async (run) => {
          Object.assign(entry, { run, status: "begun", error: null });
          await writeState(dir, state);
        },
        onProgress: (training) => this.#progress(entry, training),
        warn: (line) => {
          hooks.warn(line);
          if (!tellsOfFullDisk(line) || trouble !== undefined) return;
          trouble = line;
          stopper.stop();
        },
      });
    } catch (error) {
      if (trouble !== undefined || tellsOfFullDisk(error)) throw this.#fullDisk(entry, trouble, error);
      Object.assign(entry, { status: "failed", error: describe(error) });
      await writeState(dir, state);
      hooks.onRun(entry, "fails");
      return;
    }
    if (trouble !== undefined) throw this.#fullDisk(entry, trouble);
    if (result?.status === "interrupted" && stopper.isStopped) return await writeState(dir, state);
    await this.#note(entry, variant, rung);
    await writeState(dir, state);
    hooks.onRun(entry, entry.status === "failed" ? "fails" : "ends");
  }

  /** Notes what a run reached. What counts is what stands on the disk. */
  async #note(entry: ExperimentEntry, { rungs }: NextRun["variant"], rung: number): Promise<void> {
    const { config } = this.#o.state;
    const dir = join(this.#runsDir, entry.run!);
    const data = await readRunData(dir);
    const isOver = data.status === "completed";
    if (!isOver && data.status !== "interrupted") {
      throw new UserError(`its record says ${data.status} after its end`, {
        file: displayPath(dir),
        hint: "look for a full disk or another process; the same command goes on",
      });
    }
    const score = scoreAt(data, config.metrics[0]!, isOver ? data.steps : rungs[rung]!);
    if (score === null) {
      Object.assign(entry, { status: "failed", error: `no ${config.metrics[0]} was measured at its end` });
      return;
    }
    if (isOver) entry.status = "completed";
    const reached = isOver ? rungs.length : rung + 1; // one that stopped early has come to its end
    while (entry.scores.length < reached) entry.scores.push(score);
    if (isOver && !config.output.keep_checkpoints) {
      await Deno.remove(join(dir, "checkpoints"), { recursive: true }).catch(() => {});
    }
  }

  /** The error that ends the experiment. A run whose lines have gaps is begun anew, one that lacks weights goes on. */
  #fullDisk(entry: ExperimentEntry, trouble: string | undefined, error?: unknown): unknown {
    if (trouble?.includes("is not written") && /\.jsonl?\b/.test(trouble)) {
      Object.assign(entry, { run: null, status: "pending", scores: [] });
    }
    const told = error instanceof UserError ? error : undefined;
    const kept = finished(this.#o.state);
    return new UserError(`the disk is full; ${kept} finished ${kept === 1 ? "run is" : "runs are"} kept`, {
      file: told?.file ?? displayPath(this.#o.dir),
      hint: "free some space and give the same command again: it goes on",
      cause: error,
    });
  }

  #progress(entry: ExperimentEntry, training: TrainingProgress): void {
    const { state, hooks } = this.#o;
    this.#steps.set(entry, training.step);
    hooks.onProgress({
      entry,
      training,
      work: workOf(state, (entry) => this.#steps.get(entry) ?? 0),
    });
  }
}

/** How many runs have come to their end. */
function finished({ runs }: ExperimentState): number {
  return runs.filter(({ status }) => status === "completed").length;
}

/** Steps of the last rung that a run has reached. */
export function stepsReached({ variants }: ExperimentState, { variant, scores }: ExperimentEntry): number {
  const { rungs } = variants.find(({ name }) => name === variant)!;
  return rungs[scores.length - 1] ?? 0;
}

/** First part of a run's folder, of what every file system takes. */
function runName(experiment: string, variant: string, seed: number): string {
  const plain = variant.replace(/[^A-Za-z0-9._=-]+/g, "_").slice(0, 60).replaceAll("=", "-");
  return `${experiment}_${plain}_s${seed}`;
}

/** The divisor of `steps` that is nearest to `wanted`, so that evaluations fall on multiples of `steps` too. */
function dividing(steps: number, wanted: number): number {
  let nearest = steps;
  for (let divisor = 1; divisor <= steps; divisor++) {
    if (steps % divisor === 0 && Math.abs(divisor - wanted) < Math.abs(nearest - wanted)) nearest = divisor;
  }
  return nearest;
}

function describe(error: unknown): string {
  if (error instanceof UserError) return error.describe();
  return error instanceof Error ? error.message : String(error);
}
