/** What the dashboard's server and its page say to one another, as JSON. Numbers that were not finite are null. */

import type { RunState } from "../reading/run_entry.ts";

/** `GET /api/about`. */
export interface About {
  version: string;
  /** The runs' folder as the user would type it. */
  runs_dir: string;
  /** Whether tags, notes and the archive may be changed. */
  writable: boolean;
}

/** A value in a cell of the table. */
export type Cell = string | number | boolean | null;

/** One line of the table. */
export interface RunRow {
  id: string;
  name: string;
  state: RunState;
  archived: boolean;
  tags: string[];
  /** What is wrong with the folder. */
  problems: string[];
  /** The values of the columns that were asked for, in their order. */
  cells: Cell[];
}

/** `GET /api/runs`. */
export interface RunTable {
  /** How many runs the filter lets through, on all pages. */
  total: number;
  /** How many there are without a filter. */
  all: number;
  rows: RunRow[];
  /** Every column that some run has a value for, by group. */
  columns: ColumnGroup[];
  /** Folders among the runs that hold none. */
  foreign: string[];
}

/** Columns that belong together. */
export interface ColumnGroup {
  title: string;
  names: string[];
}

/** `GET /api/runs/<id>`. */
export interface RunDetails {
  id: string;
  name: string;
  state: RunState;
  created: string | null;
  ended: string | null;
  tags: string[];
  notes: string;
  archived: boolean;
  parents: string[];
  children: string[];
  problems: string[];
  /** The configuration under dotted keys. */
  config: Record<string, unknown>;
  /** The whole of `run.json`. */
  record: Record<string, unknown>;
  step: number | null;
  tokens: number | null;
  /** Time of the last line of metrics, ISO 8601. */
  last_time: string | null;
  /** What is known of every metric. */
  metrics: MetricRow[];
  /** Names of what `system.jsonl` holds. */
  system: string[];
  events: Record<string, unknown>[];
  /** How many texts `samples.jsonl` holds. */
  samples: number;
  artifacts: Artifact[];
}

/** What is known of one metric of a run. */
export interface MetricRow {
  name: string;
  last: number | null;
  last_step: number | null;
  min: number | null;
  min_step: number | null;
  max: number | null;
  max_step: number | null;
  count: number;
}

/** A file below `artifacts/`. */
export interface Artifact {
  /** With `/` between folders. */
  path: string;
  bytes: number;
}

/** What an x axis can count. */
export type XAxis = "step" | "tokens" | "time" | "flops";

/** One curve of `GET /api/series`, thinned for the screen. */
export interface Series {
  run: string;
  metric: string;
  x: number[];
  y: (number | null)[];
  /** The same before smoothing, where both were asked for. */
  raw?: { x: number[]; y: (number | null)[] };
  /** The best point before smoothing; null for a metric of which neither more nor less is better. */
  best: { step: number; x: number; y: number } | null;
  /** How many points there are before thinning. */
  count: number;
  /** x of each time that the run was resumed. */
  seams: number[];
}

/** `GET /api/series`. */
export interface SeriesAnswer {
  x: XAxis;
  series: Series[];
}

/** Mean and spread of one metric over runs that differ in their seed alone: an entry of `GET /api/spread`. */
export interface SpreadSeries {
  /** What the runs share, for people. */
  label: string;
  runs: string[];
  metric: string;
  x: number[];
  mean: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
}

/** One line of `GET /api/runs/<id>/samples`. */
export interface Sample {
  step: number | null;
  time: string | null;
  prompt: string;
  text: string;
}

/** What `GET /api/live` tells whenever something changed. */
export interface Change {
  /** Whether the list of runs did. */
  list: boolean;
  /** The watched runs that did. */
  runs: string[];
}

/** One run of `GET /api/compare`. */
export interface ComparedRun {
  id: string;
  name: string;
  state: RunState;
  /** The configuration under dotted keys. */
  config: Record<string, unknown>;
  metrics: MetricRow[];
  /** Whether its FLOPs are known. */
  has_flops: boolean;
}

/** `POST /api/runs/<id>`: what is to be changed; keys left out stay. */
export interface RunChange {
  add_tags?: string[];
  remove_tags?: string[];
  notes?: string;
  archived?: boolean;
}

/** One line of `GET /api/experiments`. */
export interface ExperimentRow {
  id: string;
  name: string;
  /** As the experiment says; `unknown` where only its runs tell of it. */
  status: string;
  created: string | null;
  ended: string | null;
  /** How many of its runs have come to their end, and how many there are or are planned. */
  done: number;
  runs: number;
}

/** `GET /api/experiments/<id>`. */
export interface ExperimentDetails extends ExperimentRow {
  /** The question that it answers, as text. */
  description: string;
  /** What it compares its runs by, the deciding one first; empty where it does not say. */
  metrics: string[];
  variants: ExperimentVariant[];
  /** Reports and plots in its folder. */
  files: Artifact[];
  problems: string[];
}

/** One of the things that an experiment compares. */
export interface ExperimentVariant {
  name: string;
  /** What it differs in, by key of the configuration. */
  values: Record<string, unknown>;
  runs: ExperimentRun[];
}

/** A run of an experiment. */
export interface ExperimentRun {
  seed: number | null;
  status: string;
  /** The run's id; null before it has begun. */
  run: string | null;
  /** Why it failed. */
  error: string | null;
}
