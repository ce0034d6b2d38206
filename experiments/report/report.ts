/** The report of an experiment as a document: what was asked, found and measured, and how. */

import { stringify } from "yaml";
import { humanCount } from "../../common/mod.ts";
import { Table } from "../charts/table.ts";
import { formatMetric, type Metric, METRIC_INFO } from "../runner/metrics.ts";
import type { ReportedExperiment, ReportedVariant } from "./collect.ts";
import { compare, RULE } from "./compare.ts";
import type { Block, Document } from "./document.ts";
import { findings, formatSpread } from "./findings.ts";
import { curves, finalValues, overSweep } from "./plots.ts";

/** Samples that are shown: more would be a wall of text. */
const SAMPLES = 12;

/** Metrics that are told of every experiment, whether it compares by them or not. */
const ALWAYS: readonly Metric[] = ["tokens_per_second", "device_memory_bytes"];

/**
 * The report.
 *
 * @param options ids: whether to name the folders of the runs, which mean nothing in another place
 */
export function report(experiment: ReportedExperiment, { ids = true } = {}): Document {
  const { state } = experiment;
  const { name, description } = state.config;
  const unfinished = state.status === "running" || state.status === "interrupted";
  const found = unfinished
    ? ["The experiment has not come to its end: this is how it stands.", ...findings(experiment)]
    : findings(experiment);
  const blocks: Block[] = [
    ...(description.trim() === "" ? [] : [{ kind: "text", text: description } as const]),
    { kind: "heading", text: "What was found" },
    { kind: "list", items: found },
    { kind: "table", table: finalTable(experiment) },
    { kind: "heading", text: "Curves" },
    { kind: "charts", charts: [...curves(experiment), ...overSweep(experiment)] },
    { kind: "heading", text: "Final values" },
    { kind: "charts", charts: metricsShown(experiment).flatMap((metric) => finalValues(experiment, metric)) },
    ...differences(experiment),
    ...samples(experiment),
    { kind: "heading", text: "Configuration" },
    { kind: "list", items: configuration(experiment) },
    { kind: "table", table: runsTable(experiment, ids) },
  ];
  return {
    title: name,
    blocks: blocks.filter((block) => block.kind !== "charts" || block.charts.length > 0),
  };
}

/** The table of final values as text for a terminal, after what was found. */
export function reportSummary(experiment: ReportedExperiment): string {
  return `${finalTable(experiment)}\n${findings(experiment).map((line) => `- ${line}`).join("\n")}`;
}

function metricsShown({ state, variants }: ReportedExperiment): Metric[] {
  const metrics = new Set([...state.config.metrics, ...ALWAYS]);
  return [...metrics].filter((metric) => variants.some((variant) => variant.spread(metric) !== null));
}

function finalTable(experiment: ReportedExperiment): Table {
  const metrics = metricsShown(experiment);
  const heads = metrics.map(headOf);
  const rows = experiment.variants.map((variant) => {
    const { plan, runs } = variant;
    const steps = Math.max(0, ...runs.map(({ data }) => data?.steps ?? 0));
    return [
      plan.name,
      humanCount(plan.parameters),
      humanCount(steps * plan.tokens_per_step),
      humanCount(steps * plan.flops_per_step),
      ...metrics.map((metric) =>
        formatSpread(metric, variant.spread(metric)) || unfinishedValue(variant, metric)
      ),
    ];
  });
  return new Table(["variant", "parameters", "tokens", "FLOPs", ...heads], rows);
}

/** A metric with its unit, where values do not bring it with them. */
function headOf(metric: Metric): string {
  const { label, unit } = METRIC_INFO[metric];
  return unit === "bytes" || unit === "s" ? label : `${label}, ${unit}`;
}

/** The value of a variant that was stopped or is still at work: that of its first seed, in brackets. */
function unfinishedValue({ runs }: ReportedVariant, metric: Metric): string {
  const value = runs.find(({ entry }) => entry.status !== "failed")?.data?.metrics[metric];
  return value == null ? "" : `(${formatMetric(metric, value)})`;
}

function differences(experiment: ReportedExperiment): Block[] {
  const { metrics } = experiment.state.config;
  const rows = metrics.flatMap((metric) =>
    compare(experiment, metric).map(({ first, second, difference, interval, p, larger }) => [
      headOf(metric),
      `${second} − ${first}`,
      signed(metric, difference),
      interval === null ? "" : interval.map((end) => signed(metric, end)).join(" to "),
      p === null ? "" : p < 0.0001 ? "< 0.0001" : p.toPrecision(2),
      larger === null ? "cannot be said" : larger ? "yes" : "no",
    ])
  );
  if (rows.length === 0) return [];
  const heads = [
    "metric",
    "difference of",
    "means",
    "95 % interval",
    "p, corrected",
    "larger than the spread",
  ];
  return [
    { kind: "heading", text: "Differences" },
    { kind: "text", text: RULE },
    { kind: "table", table: new Table(heads, rows) },
  ];
}

function signed(metric: Metric, value: number): string {
  return `${value < 0 ? "−" : "+"}${formatMetric(metric, Math.abs(value))}`;
}

function samples({ variants }: ReportedExperiment): Block[] {
  const texts = variants.flatMap(({ plan, runs }) => {
    const run = runs.find(({ data }) => data?.sample != null);
    return run === undefined
      ? []
      : [{ name: `${plan.name}, seed ${run.entry.seed}`, text: run.data!.sample! }];
  });
  if (texts.length === 0) return [];
  return [
    { kind: "heading", text: "Samples" },
    {
      kind: "text",
      text: "What each variant writes at its end, after the same prompt and with the same draws.",
    },
    { kind: "samples", samples: texts.slice(0, SAMPLES) },
  ];
}

function configuration({ state, variants }: ReportedExperiment): string[] {
  const { seeds, budget, sweep, training, models } = state.config;
  const keys = (values: Record<string, unknown>) => stringify(values, { flow: true, lineWidth: 0 }).trim();
  const equal = budget?.tokens !== undefined
    ? `the same ${humanCount(budget.tokens)} tokens`
    : budget?.flops !== undefined
    ? `the same ${humanCount(budget.flops)} floating-point operations, as planned`
    : budget?.seconds !== undefined
    ? `the same ${budget.seconds} s of training, by rates measured before`
    : "its own max_steps";
  return [
    `Command: chatgot experiment --config-path ${state.file}`,
    `Each variant gets ${equal}. Seeds: ${seeds.join(", ")}.`,
    ...models.map(({ name, config, params }) =>
      `${name}: ${config}${Object.keys(params).length === 0 ? "" : ` with ${keys(params)}`}`
    ),
    ...(Object.keys(training).length === 0 ? [] : [`All models: training ${keys(training)}`]),
    ...(sweep == null ? [] : [`Sweep, ${sweep.method}: ${keys(sweep.parameters)}`]),
    `Tokenizers: ${
      [...new Set(variants.map(({ plan }) => `${plan.tokenizer} of ${plan.vocab_size} tokens`))].join("; ")
    }.`,
    `Adapter: ${state.adapter}. ChatGoT ${state.versions.chatgot}, Deno ${state.versions.deno}, ${state.versions.os}. Begun ${state.created}.`,
  ];
}

function runsTable({ variants, state }: ReportedExperiment, ids: boolean): Table {
  const metric = state.config.metrics[0]!;
  const rows = variants.flatMap(({ plan, runs }) =>
    runs.map(({ entry, data }) => [
      plan.name,
      entry.seed,
      entry.status,
      data?.steps ?? 0,
      plan.tokens_per_step,
      data?.metrics[metric] == null ? "" : formatMetric(metric, data.metrics[metric]),
      data?.metrics.training_seconds == null
        ? ""
        : formatMetric("training_seconds", data.metrics.training_seconds),
      ...(ids ? [entry.run ?? ""] : []),
    ])
  );
  const heads = ["variant", "seed", "status", "steps", "tokens a step", headOf(metric), "training time"];
  return new Table(ids ? [...heads, "run"] : heads, rows);
}
