/**
 * One run as a list of runs shows it, read from its folder whatever state that is in: half-copied, damaged, or written by
 * a newer version. What cannot be read is told in `problems` and never thrown.
 */

import { basename, join } from "path";
import { displayPath, parseYaml, UserError } from "../../common/mod.ts";
import { type MetricsSummary, MetricsSummary as metricsSummarySchema } from "../tracker/metric_summary.ts";
import { RUN_FORMAT_VERSION, RUN_STATUSES } from "../tracker/run_record.ts";
import { flatten, isSection } from "./flatten.ts";
import { isHeld } from "./is_held.ts";
import { readSome } from "./read_file.ts";
import { scanMetrics, type ScannedMetrics } from "./scan_metrics.ts";

/**
 * How a run stands: as `run.json` says, but `killed` where it says `running` and no process of this machine holds it any
 * more, and `unknown` where it says nothing that is known.
 */
export type RunState = typeof RUN_STATUSES[number] | "killed" | "unknown";

/** One run of a list. Its fields can be printed as JSON as they are. */
export interface RunEntry {
  /** The folder's name, by which the run is called. */
  id: string;
  /** The folder, absolute. */
  dir: string;
  /** The user's name for it; the folder's where it has none. */
  name: string;
  config_name: string | null;
  state: RunState;
  /** ISO 8601, UTC; null where unknown. */
  created: string | null;
  ended: string | null;
  tags: string[];
  notes: string;
  /** Ids of the runs that this one came from or belongs to. */
  parents: string[];
  /** Whether it was put out of sight. */
  archived: boolean;
  /** The configuration under dotted keys, such as `training.learning_rate`. */
  config: Record<string, unknown>;
  /** Last, least and largest value of every metric, how often it was measured, and where training stood last. */
  metrics: MetricsSummary;
  /** `run.json` as it stands, but for `config` and `metrics_summary`, which are above; empty where it cannot be read. */
  record: Record<string, unknown>;
  /** What is wrong with the folder, one line each. */
  problems: string[];
  /** Whether only the end of `metrics.jsonl` has been read so far: then `last` is right and the rest is not. */
  partial: boolean;
}

/** What is kept of a run, so that looking again costs little. */
export interface KnownRun {
  /** Identifies the `config.yaml` that `config` was read from. */
  configStamp?: string;
  config?: Record<string, unknown>;
  scanned?: ScannedMetrics;
  /** What `run.json` held; kept in memory alone, since reading it for the first time costs little. */
  written?: WrittenRun;
}

/** The content of a `run.json`, taken apart. */
interface WrittenRun {
  /** Identifies the file that it was read from. */
  stamp: string | undefined;
  /** All but the two below. */
  record: Record<string, unknown>;
  /** The configuration under dotted keys; undefined in format 1. */
  config: Record<string, unknown> | undefined;
  /** The summary that a run notes when it ends. */
  summary: MetricsSummary | undefined;
}

/** Whether a folder looks like a run: it has one of the files that only runs have. */
export function isRunFolder(dir: string): boolean {
  return ["run.json", "metrics.jsonl", "events.jsonl"].some((name) => stampOf(join(dir, name)) !== undefined);
}

/**
 * Reads a run's entry.
 *
 * @param known what was kept when it was read before; updated
 * @param tailOnly read no more than the end of a `metrics.jsonl` that is not known yet
 */
export function readEntry(dir: string, known: KnownRun, tailOnly = false): RunEntry {
  const problems: string[] = [];
  const attempt = <T>(read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (error) {
      problems.push(error instanceof UserError ? error.describe() : String(error));
      return otherwise;
    }
  };
  const written = attempt(() => readWritten(dir, known), NOTHING_WRITTEN);
  const { record } = written;
  const text = (key: string) => typeof record[key] === "string" ? record[key] : null;
  if (typeof record.format_version === "number" && record.format_version > RUN_FORMAT_VERSION) {
    problems.push(
      `run.json is of format ${record.format_version}, newer than this version's ${RUN_FORMAT_VERSION}: what it shares is shown`,
    );
  }
  const { metrics, broken, partial } = attempt(
    () => scanMetrics(join(dir, "metrics.jsonl"), known, written.summary, tailOnly),
    { metrics: NO_METRICS, broken: 0, partial: false },
  );
  if (broken > 0) problems.push(`metrics.jsonl has ${broken} broken lines, which are passed over`);
  const id = basename(dir);
  return {
    id,
    dir,
    name: text("name") ?? id,
    config_name: text("config_name"),
    state: stateOf(dir, record),
    created: text("created"),
    ended: text("ended"),
    tags: texts(record.tags),
    notes: text("notes") ?? "",
    parents: parentsOf(record),
    archived: record.archived === true,
    config: attempt(() => written.config ?? readConfig(dir, known), {}),
    metrics,
    record,
    problems,
    partial,
  };
}

const NO_METRICS: MetricsSummary = { bytes: 0, lines: 0, step: null, tokens: null, time: null, by_name: {} };

const NOTHING_WRITTEN: WrittenRun = { stamp: undefined, record: {}, config: undefined, summary: undefined };

/** What `run.json` holds; read anew only where it has changed. */
function readWritten(dir: string, known: KnownRun): WrittenRun {
  const stamp = stampOf(join(dir, "run.json"));
  if (known.written === undefined || stamp === undefined || known.written.stamp !== stamp) {
    const { config, metrics_summary, ...record } = readRecord(dir);
    known.written = {
      stamp,
      record,
      config: isSection(config) ? flatten(config) : undefined,
      summary: metricsSummarySchema.safeParse(metrics_summary).data,
    };
  }
  return known.written;
}

function readRecord(dir: string): Record<string, unknown> {
  const file = displayPath(join(dir, "run.json"));
  const text = readSome(join(dir, "run.json"), undefined, readText);
  if (text === undefined) throw new UserError("run.json is missing");
  try {
    const value: unknown = JSON.parse(text);
    if (isSection(value)) return value;
  } catch { /* told below */ }
  throw new UserError("is not a JSON object", { file });
}

/** The configuration in `config.yaml`, for runs of format 1. */
function readConfig(dir: string, known: KnownRun): Record<string, unknown> {
  const file = join(dir, "config.yaml");
  const stamp = stampOf(file);
  if (stamp === undefined) return {};
  if (known.config === undefined || known.configStamp !== stamp) {
    known.config = flatten(parseYaml(readSome(file, "", readText), displayPath(file)).value);
    known.configStamp = stamp;
  }
  return known.config;
}

function stateOf(dir: string, { status, host }: Record<string, unknown>): RunState {
  const said = RUN_STATUSES.find((known) => known === status) ?? "unknown";
  if (said !== "running" || isHeld(dir)) return said;
  return isElsewhere(host) ? "running" : "killed";
}

/** Whether a run is another machine's: its lock tells nothing here. */
function isElsewhere(host: unknown): boolean {
  try {
    return typeof host === "string" && host !== Deno.hostname();
  } catch {
    return false;
  }
}

/** `parents`, or `parent` as older runs have it. */
function parentsOf({ parents, parent }: Record<string, unknown>): string[] {
  return Array.isArray(parents) ? texts(parents) : typeof parent === "string" ? [parent] : [];
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function readText(handle: Deno.FsFile): string {
  const bytes = new Uint8Array(handle.statSync().size);
  let done = 0;
  while (done < bytes.length) {
    const read = handle.readSync(bytes.subarray(done));
    if (read === null) break;
    done += read;
  }
  return new TextDecoder().decode(bytes.subarray(0, done));
}

/** Changes whenever the file does; undefined if there is none. */
function stampOf(file: string): string | undefined {
  try {
    const { size, mtime, ino } = Deno.statSync(file);
    return `${size} ${mtime?.getTime()} ${ino}`;
  } catch {
    return undefined;
  }
}
