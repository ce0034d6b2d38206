/**
 * The run tracker: a `Recorder` that writes a run's folder (`docs/formats/run.md`). Lines are appended one write each, so
 * that a crash loses at most the last; what cannot be written, such as on a full disk, costs a warning and no training.
 * Left out: comparing runs, and anything that reads while a run goes on, for which the files themselves serve.
 */

import * as path from "path";
import {
  displayPath,
  JsonlWriter,
  makeFolder,
  readJsonl,
  UserError,
  VERSION,
  writeFileAtomic,
} from "../../common/mod.ts";
import type { NewRun, Recorder, RunDescription, TrainingDescription } from "../../pipeline/mod.ts";
import { machineSources, Monitor } from "../monitor/monitor.ts";
import { discardLater } from "./discard_later.ts";
import { gitCommit } from "./git.ts";
import { makeRunFolder } from "./run_folder.ts";
import { readRun, type RunRecord, writeRunSync } from "./run_record.ts";

/** What tests replace. */
export interface TrackerOptions {
  /** The time. @default the clock's */
  now?: () => Date;
  /** Gets warnings, one line each. @default standard error */
  warn?: (line: string) => void;
}

const STREAMS = ["metrics", "samples", "system", "events"] as const;
type Stream = typeof STREAMS[number];

/**
 * Begins a run: makes its folder with `run.json`, `config.yaml` and the empty streams, and returns what writes them.
 * Throws `UserError` if that cannot be, such as when a file stands where a folder should be.
 *
 * @example
 * ```ts
 * import { createRun } from "./tracker.ts";
 * const runs_dir = await Deno.makeTempDir();
 * const run = await createRun({
 *   runs_dir,
 *   config_name: "tiny",
 *   config_yaml: "model: { n_layer: 4 }\n",
 *   seed: 1337,
 *   adapter: "llvmpipe",
 *   kernel_choices: {},
 * });
 * run.metrics({ step: 1, tokens: 768, train_loss: 4.2 });
 * run.finish("completed", { train_loss: 4.2 });
 * await Deno.remove(runs_dir, { recursive: true });
 * ```
 */
export async function createRun(
  description: RunDescription,
  options: TrackerOptions = {},
): Promise<Recorder> {
  const { dir, lock } = await makeRun(description, description, options);
  const tracker = new RunTracker(dir, await openStreams(dir), lock, options);
  await tracker.watch(description);
  return tracker;
}

/**
 * Makes the folder of a run whose training begins later, by `resumeRun` at step 0, and returns it.
 * Throws `UserError` if that cannot be, as `createRun` does.
 */
export async function reserveRun(description: NewRun, options: TrackerOptions = {}): Promise<string> {
  const { dir, lock } = await makeRun(description, undefined, options);
  const streams = await openStreams(dir);
  for (const stream of STREAMS) streams[stream].close();
  lock.close();
  return dir;
}

/** A new run's folder, held for this process, with all but its streams. */
async function makeRun(
  description: NewRun,
  training: TrainingDescription | undefined,
  options: TrackerOptions,
): Promise<{ dir: string; lock: Deno.FsFile }> {
  const { runs_dir, config_name, name, parent, config_yaml, seed } = description;
  const now = options.now?.() ?? new Date();
  const dir = await makeRunFolder(runs_dir, config_name, now);
  const lock = lockRun(dir);
  writeRunSync(dir, {
    format_version: 1,
    id: path.basename(dir),
    name: name ?? config_name,
    config_name,
    parent: parent ?? null,
    status: training === undefined ? "created" : "running",
    created: now.toISOString(),
    ended: null,
    seed,
    ...trained(training),
    command_line: [path.basename(new URL(Deno.mainModule).pathname), ...Deno.args],
    git_commit: gitCommit(import.meta.dirname ?? "."),
    resumed: [],
    summary: {},
    ...thisProcess(),
  });
  await writeFileAtomic(path.join(dir, "config.yaml"), config_yaml);
  for (const folder of ["checkpoints", "artifacts"]) await makeFolder(path.join(dir, folder));
  return { dir, lock };
}

/** What `run.json` says of a training; nulls before it began. */
function trained(
  training: TrainingDescription | undefined,
): Pick<RunRecord, "adapter" | "kernel_choices" | "parameters" | "flops_per_token"> {
  return {
    adapter: training?.adapter ?? null,
    kernel_choices: training?.kernel_choices ?? {},
    parameters: training?.parameters ?? null,
    flops_per_token: training?.flops_per_token ?? null,
  };
}

/**
 * Goes on with a run from a checkpoint: lines of `metrics.jsonl` and `samples.jsonl` beyond its step move to
 * `metrics.discarded.jsonl` and `samples.discarded.jsonl`, and an event marks the seam. A run that was reserved begins.
 * Throws `UserError` if the folder holds no run, or another process is writing to it.
 *
 * @param step the checkpoint's step
 * @param options `training` is noted of a run whose training had not begun
 */
export async function resumeRun(
  dir: string,
  step: number,
  options: TrackerOptions & { training?: TrainingDescription } = {},
): Promise<Recorder> {
  const record = await readRun(dir);
  const lock = lockRun(dir);
  try {
    const discarded = {
      metrics: await discardLater(dir, "metrics", step),
      samples: await discardLater(dir, "samples", step),
    };
    const time = (options.now?.() ?? new Date()).toISOString();
    const begins = record.status === "created";
    writeRunSync(dir, {
      ...record,
      ...thisProcess(),
      ...(record.adapter === null ? trained(options.training) : {}),
      status: "running",
      ended: null,
      resumed: begins ? [] : [...record.resumed, { step, time }],
    });
    const tracker = new RunTracker(dir, await openStreams(dir), lock, options);
    if (!begins) tracker.event({ type: "resumed", step, discarded });
    await tracker.watch(options.training);
    return tracker;
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** The recorder of one run. */
class RunTracker implements Recorder {
  readonly dir: string;
  private readonly streams: Record<Stream, JsonlWriter>;
  private readonly lock: Deno.FsFile;
  private readonly now: () => Date;
  private readonly warn: (line: string) => void;
  private readonly troubled = new Set<string>();
  private monitor: Monitor | undefined;
  private step = 0;
  private finished = false;

  constructor(
    dir: string,
    streams: Record<Stream, JsonlWriter>,
    lock: Deno.FsFile,
    options: TrackerOptions,
  ) {
    this.dir = dir;
    this.streams = streams;
    this.lock = lock;
    this.now = options.now ?? (() => new Date());
    this.warn = options.warn ?? ((line) => console.error(line));
  }

  /** Has the machine looked at until the run's end, where that is wanted. */
  async watch(
    { adapter = "", monitor_interval: interval = 0 }: Partial<TrainingDescription> = {},
  ): Promise<void> {
    if (interval === 0) return;
    const monitor = this.monitor = new Monitor({
      interval,
      sources: machineSources(adapter, this.dir),
      earlier: await readJsonl(path.join(this.dir, "system.jsonl")).catch(() => []),
      write: (line) => this.append("system", { step: this.step, time: this.now().toISOString(), ...line }),
    });
    await monitor.begin();
  }

  metrics({ step, tokens, ...measured }: { step: number; tokens: number; [name: string]: number }): void {
    this.step = step;
    this.append("metrics", { step, time: this.now().toISOString(), tokens, ...measured });
    const odd = Object.entries(measured).filter(([, value]) => !Number.isFinite(value));
    if (odd.length > 0) {
      const values = Object.fromEntries(odd.map(([name, value]) => [name, String(value)]));
      this.event({ type: "not_finite", step, values });
    }
  }

  sample({ step, ...line }: { step: number; prompt: string; text: string }): void {
    this.append("samples", { step, time: this.now().toISOString(), ...line });
  }

  event({ type, step, ...line }: { type: string; step: number; [key: string]: unknown }): void {
    this.append("events", { type, step, time: this.now().toISOString(), ...line });
  }

  finish(status: "completed" | "failed" | "interrupted", summary: Record<string, unknown>): void {
    if (this.finished) return;
    this.finished = true;
    const tokens = typeof summary.tokens === "number" ? summary.tokens : undefined;
    summary = { ...summary, ...this.monitor?.end(tokens) };
    this.guard("run.json", () => {
      const record = JSON.parse(Deno.readTextFileSync(path.join(this.dir, "run.json"))) as RunRecord;
      writeRunSync(this.dir, { ...record, status, ended: this.now().toISOString(), summary });
    });
    for (const stream of STREAMS) {
      this.guard(`${stream}.jsonl`, () => this.streams[stream].sync());
      this.streams[stream].close();
    }
    this.lock.close();
  }

  /** A line that arrives after the end, such as a loss that was still on its way, is dropped. */
  private append(stream: Stream, line: Record<string, unknown>): void {
    if (!this.finished) this.guard(`${stream}.jsonl`, () => this.streams[stream].append(line));
  }

  /** Runs a write; its failure is a warning, told once for each file until it works again. */
  private guard(file: string, write: () => void): void {
    try {
      write();
      this.troubled.delete(file);
    } catch (error) {
      if (this.troubled.has(file)) return;
      this.troubled.add(file);
      const why = error instanceof UserError
        ? error.message
        : error instanceof Error
        ? error.message
        : String(error);
      this.warn(
        `warning: ${displayPath(path.join(this.dir, file))} is not written: ${why}; training goes on`,
      );
    }
  }
}

async function openStreams(dir: string): Promise<Record<Stream, JsonlWriter>> {
  const open = (stream: Stream) => JsonlWriter.open(path.join(dir, `${stream}.jsonl`));
  return {
    metrics: await open("metrics"),
    samples: await open("samples"),
    system: await open("system"),
    events: await open("events"),
  };
}

/** Holds the run for this process; the system lets go of it when the process ends, however it ends. */
function lockRun(dir: string): Deno.FsFile {
  const lock = Deno.openSync(path.join(dir, ".lock"), { write: true, create: true });
  if (lock.tryLockSync(true)) return lock;
  lock.close();
  throw new UserError("another process is training this run", {
    file: displayPath(dir),
    hint: "wait until it has ended, or stop it",
  });
}

/** What `run.json` says of the process that writes it. */
function thisProcess(): Pick<RunRecord, "versions" | "host" | "pid"> {
  return {
    versions: { chatgot: VERSION, ...Deno.version, os: `${Deno.build.os} ${Deno.build.arch}` },
    host: hostname(),
    pid: Deno.pid,
  };
}

/** The machine's name, or null where that may not be asked (`--allow-sys=hostname`). */
function hostname(): string | null {
  try {
    return Deno.hostname();
  } catch {
    return null;
  }
}
