/**
 * What a run can be asked for by name: its own fields, keys of its configuration, and metrics. The same names serve to
 * filter, to sort and as columns.
 */

import { didYouMean, UserError } from "../../common/mod.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { flatten } from "../reading/flatten.ts";
import type { MetricSummary } from "../tracker/metric_summary.ts";

/** A run's value under a name: a number, text, true or false, a list of those; null where the run has none. */
export type Value = number | string | boolean | null | Value[];

/** Gives a run's value under one name. */
export type Getter = (run: RunEntry) => Value;

/** The run's own fields. Where two are the same, the first is shown as a suggestion. */
const FIELDS: Record<string, Getter> = {
  id: (run) => run.id,
  name: (run) => run.name,
  state: (run) => run.state,
  status: (run) => run.state,
  tag: (run) => run.tags,
  tags: (run) => run.tags,
  notes: (run) => run.notes,
  parent: (run) => run.parents,
  parents: (run) => run.parents,
  config_name: (run) => run.config_name,
  archived: (run) => run.archived,
  created: (run) => run.created,
  ended: (run) => run.ended,
  duration: durationOf,
  step: (run) => run.metrics.step,
  tokens: (run) => run.metrics.tokens,
  seed: (run) => valueOf(run.record.seed),
  adapter: (run) => valueOf(run.record.adapter),
  host: (run) => valueOf(run.record.host),
  parameters: (run) => valueOf(run.record.parameters),
  flops_per_token: (run) => valueOf(run.record.flops_per_token),
  git_commit: (run) => valueOf(run.record.git_commit),
};

/** Seconds from the beginning to the end, or to the last line of metrics. */
function durationOf({ created, ended, metrics }: RunEntry): Value {
  const seconds = (Date.parse(ended ?? metrics.time ?? "") - Date.parse(created ?? "")) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}

/** What of a metric can be asked for behind a dot; the metric's name alone is its last value. */
const OF_METRIC = ["last", "min", "max", "count", "last_step", "min_step", "max_step"] as const;

/** The names that some runs have. */
export class Names {
  readonly #metrics = new Set<string>();
  readonly #config = new Set<string>();
  readonly #summary = new Set<string>();
  /** Dotted keys of configurations by their last part. */
  readonly #short = new Map<string, string[]>();

  /** @param runs the runs that are asked: a name that none of them has is not known */
  constructor(runs: readonly RunEntry[]) {
    for (const { metrics, config, record } of runs) {
      for (const name of Object.keys(metrics.by_name)) this.#metrics.add(name);
      for (const key of Object.keys(config)) this.#config.add(key);
      for (const key of Object.keys(flatten(record.summary))) this.#summary.add(`summary.${key}`);
    }
    for (const key of this.#config) {
      const short = key.slice(key.lastIndexOf(".") + 1);
      this.#short.set(short, [...this.#short.get(short) ?? [], key]);
    }
  }

  /**
   * What gives a name's value. A field goes before a key of the configuration, which may be its last part alone, as in
   * `n_layer` for `model.n_layer`, and that before a metric: where `learning_rate` is what was set, `learning_rate.last` is
   * what it came to.
   *
   * @throws UserError for a name that no run has, with one that is near, and for a short key that could be several
   */
  getter(name: string): Getter {
    const found = this.#find(name);
    if (found !== undefined) return found;
    const near = didYouMean(name, this.#all());
    const shown = name.length > 60 ? `${name.slice(0, 60)}…` : name;
    throw new UserError(`no run has anything called ${JSON.stringify(shown)}`, {
      hint: near === undefined
        ? "names are those of metrics, of keys of config.yaml, and fields such as state, tag, created"
        : `did you mean ${near}?`,
    });
  }

  #find(name: string): Getter | undefined {
    if (Object.hasOwn(FIELDS, name)) return FIELDS[name];
    if (this.#config.has(name)) return ({ config }) => own(config, name);
    const keys = this.#short.get(name) ?? [];
    if (keys.length === 1) return ({ config }) => own(config, keys[0]!);
    if (this.#metrics.has(name)) return ofMetric(name, "last");
    const dot = name.lastIndexOf(".");
    const part = OF_METRIC.find((part) => part === name.slice(dot + 1));
    if (part !== undefined && this.#metrics.has(name.slice(0, dot))) {
      return ofMetric(name.slice(0, dot), part);
    }
    if (this.#summary.has(name)) {
      const key = name.slice("summary.".length);
      return ({ record }) => own(flatten(record.summary), key);
    }
    if (keys.length === 0) return undefined;
    throw new UserError(`${name} may be ${keys.join(" or ")}`, { hint: "give the whole key" });
  }

  #all(): string[] {
    return [
      ...Object.keys(FIELDS),
      ...this.#metrics,
      ...this.#short.keys(),
      ...this.#config,
      ...this.#summary,
    ];
  }
}

function ofMetric(name: string, part: typeof OF_METRIC[number]): Getter {
  return ({ metrics: { by_name } }) =>
    Object.hasOwn(by_name, name) ? (by_name[name] as MetricSummary)[part] : null;
}

function own(record: Record<string, unknown>, key: string): Value {
  return Object.hasOwn(record, key) ? valueOf(record[key]) : null;
}

/** A value as one that can be compared: what is a tree becomes its JSON. */
function valueOf(value: unknown): Value {
  if (value === undefined || value === null) return null;
  if (typeof value === "number" || typeof value === "string" || typeof value === "boolean") return value;
  return Array.isArray(value) ? value.map(valueOf) : JSON.stringify(value);
}
