/**
 * The run tracker: a `Recorder` that writes a run's folder (`docs/formats/run.md`). Lines are appended one write each, so
 * that a crash loses at most the last; what cannot be written, such as on a full disk, costs a warning and no training.
 * Left out: comparing runs, and anything that reads while a run goes on, for which the files themselves serve.
 */

import * as path from "path";
import {
  displayPath,
  gitCommit,
  gitIsDirty,
  JsonlWriter,
  makeFolder,
  parseYaml,
  readJsonl,
  readText,
  sha256,
  UserError,
  VERSION,
  writeFileAtomic,
} from "../../common/mod.ts";
import type { NewRun, Recorder, TrainingDescription } from "../../pipeline/mod.ts";
import { machineSources, Monitor } from "../monitor/monitor.ts";
import { BEGINNING, readAppended } from "../reading/appended_lines.ts";
import { discardLater } from "./discard_later.ts";
import { MetricSummaries } from "./metric_summary.ts";
import { holdFolder } from "./hold_folder.ts";
import { makeRunFolder } from "./run_folder.ts";
import { readRun, RUN_FORMAT_VERSION, type RunRecord, updateRunSync, writeRunSync } from "./run_record.ts";

/** What scripts and tests replace. */
export interface TrackerOptions {
  /** The time. @default the clock's */
  now?: () => Date;
  /** Gets warnings, one line each. @default standard error */
  warn?: (line: string) => void;
  /** A folder in the work tree whose commit is noted. @default ChatGoT's own */
  program?: string;
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
  description: NewRun & Partial<TrainingDescription>,
  options: TrackerOptions = {},
): Promise<RunTracker> {
  const { dir, lock } = await makeRun(description, description, options);
  const tracker = new RunTracker(dir, await openStreams(dir), lock, options);
  tracker.event({ type: "started", step: 0 });
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
  training: Partial<TrainingDescription> | undefined,
  options: TrackerOptions,
): Promise<{ dir: string; lock: Deno.FsFile }> {
  const { runs_dir, config_name, name, parent, config_yaml, seed, tags = [], notes = "" } = description;
  const folder = options.program ?? import.meta.dirname ?? ".";
  const git_dirty = await gitIsDirty(folder);
  const now = options.now?.() ?? new Date();
  const dir = await makeRunFolder(runs_dir, config_name, now);
  const lock = await lockRun(dir);
  writeRunSync(dir, {
    format_version: RUN_FORMAT_VERSION,
    id: path.basename(dir),
    name: name ?? config_name,
    config_name,
    tags,
    notes,
    parents: parent === undefined ? [] : [parent].flat(),
    archived: false,
    status: training === undefined ? "created" : "running",
    created: now.toISOString(),
    ended: null,
    ...trained({ ...training, seed }),
    command_line: [path.basename(new URL(Deno.mainModule).pathname), ...Deno.args],
    ...configOf(config_yaml),
    git_commit: gitCommit(folder),
    git_dirty,
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
  training: Partial<TrainingDescription> & Pick<TrainingDescription, "seed">,
): Pick<
  RunRecord,
  "seed" | "adapter" | "adapter_info" | "kernel_choices" | "parameters" | "flops_per_token"
> {
  return {
    seed: training.seed,
    adapter: training.adapter ?? null,
    adapter_info: training.adapter_info ?? null,
    kernel_choices: training.kernel_choices ?? {},
    parameters: training.parameters ?? null,
    flops_per_token: training.flops_per_token ?? null,
  };
}

/** What `run.json` says of `config.yaml`. */
function configOf(config_yaml: string): Pick<RunRecord, "config" | "config_digest"> {
  const { value } = parseYaml(config_yaml, "config.yaml");
  return { config: value as RunRecord["config"], config_digest: sha256(config_yaml) };
}

/**
 * Goes on with a run from a checkpoint: lines of `metrics.jsonl` and `samples.jsonl` beyond its step move to
 * `metrics.discarded.jsonl` and `samples.discarded.jsonl`, and an event marks the seam. A run that was reserved begins.
 * Throws `UserError` if the folder holds no run, or another process is writing to it.
 *
 * @param step the checkpoint's step
 * @param options `training` is noted of a run that begins, or begins anew, at step 0; `config_yaml` replaces the
 *   configuration
 */
export async function resumeRun(
  dir: string,
  step: number,
  options: TrackerOptions & { training?: TrainingDescription; config_yaml?: string } = {},
): Promise<RunTracker> {
  const record = await readRun(dir);
  const lock = await lockRun(dir);
  try {
    const discarded = {
      metrics: await discardLater(dir, "metrics", step),
      samples: await discardLater(dir, "samples", step),
    };
    const time = (options.now?.() ?? new Date()).toISOString();
    const begins = record.status === "created";
    const { config_yaml } = options;
    if (config_yaml !== undefined) await writeFileAtomic(path.join(dir, "config.yaml"), config_yaml);
    const config = configOf(await readText(path.join(dir, "config.yaml")));
    updateRunSync(dir, (record) => ({
      ...thisProcess(),
      ...(step === 0 && options.training !== undefined ? trained(options.training) : {}),
      status: "running",
      ended: null,
      ...config,
      metrics_summary: undefined,
      resumed: begins ? [] : [...record.resumed, { step, time }],
    }));
    const tracker = new RunTracker(dir, await openStreams(dir), lock, options);
    tracker.event(begins ? { type: "started", step } : { type: "resumed", step, discarded });
    await tracker.watch(options.training);
    return tracker;
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** The recorder of one run; made by `createRun` and `resumeRun`. */
export class RunTracker implements Recorder {
  readonly dir: string;
  private readonly streams: Record<Stream, JsonlWriter>;
  private readonly lock: Deno.FsFile;
  private readonly now: () => Date;
  private readonly warn: (line: string) => void;
  private readonly troubled = new Set<string>();
  private monitor: Monitor | undefined;
  private step = 0;
  private readonly summaries = new MetricSummaries();
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
    readAppended(path.join(dir, "metrics.jsonl"), BEGINNING, (line) => this.summaries.add(line));
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

  metrics({ step, ...measured }: { step: number; [name: string]: number }): void {
    this.step = step;
    const line = { step, time: this.now().toISOString(), ...measured };
    if (this.append("metrics", line)) this.summaries.add(line);
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
    this.event({ type: "ended", step: this.summaries.summary(0).step ?? 0, status });
    this.finished = true;
    const tokens = typeof summary.tokens === "number" ? summary.tokens : undefined;
    summary = { ...summary, ...this.monitor?.end(tokens) };
    for (const stream of STREAMS) {
      this.guard(`${stream}.jsonl`, () => this.streams[stream].sync());
      this.streams[stream].close();
    }
    this.guard("run.json", () => {
      const bytes = Deno.statSync(path.join(this.dir, "metrics.jsonl")).size;
      const metrics_summary = this.summaries.summary(bytes);
      updateRunSync(this.dir, () => ({ status, ended: this.now().toISOString(), summary, metrics_summary }));
    });
    this.lock.close();
  }

  /** A line that arrives after the end, such as a loss that was still on its way, is dropped. */
  private append(stream: Stream, line: Record<string, unknown>): boolean {
    return !this.finished && this.guard(`${stream}.jsonl`, () => this.streams[stream].append(line));
  }

  /** Runs a write and says whether it worked; its failure is a warning, told once for each file until it works again. */
  private guard(file: string, write: () => void): boolean {
    try {
      write();
      this.troubled.delete(file);
      return true;
    } catch (error) {
      if (this.troubled.has(file)) return false;
      this.troubled.add(file);
      const why = error instanceof UserError
        ? error.message
        : error instanceof Error
        ? error.message
        : String(error);
      this.warn(
        `warning: ${displayPath(path.join(this.dir, file))} is not written: ${why}; training goes on`,
      );
      return false;
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

/** Holds a run for this process. Throws `UserError` when another holds it. */
function lockRun(dir: string): Promise<Deno.FsFile> {
  return holdFolder(dir, "another process is training this run", "wait until it has ended, or stop it");
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
