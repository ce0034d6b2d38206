/**
 * `results.yaml`: what an experiment found, for programs and for later. All that depends on the machine or the moment stands under keys
 * `measured`; without them, two runs of one experiment with the same seeds and a budget in tokens give the same file.
 */

import { stringify } from "yaml";
import { type Metric, METRIC_INFO } from "../runner/metrics.ts";
import type { ReportedExperiment, ReportedRun, ReportedVariant } from "./collect.ts";
import { compare, RULE } from "./compare.ts";

/** The text of `results.yaml`. */
export function resultsYaml(experiment: ReportedExperiment): string {
  return stringify(results(experiment), { lineWidth: 0 });
}

/** The content of `results.yaml`. */
export function results(experiment: ReportedExperiment): Record<string, unknown> {
  const { state, variants } = experiment;
  const { name, description, seeds, budget, sweep, metrics } = state.config;
  const [all, measured] = [metrics.filter((metric) => !METRIC_INFO[metric].measured), MEASURED];
  return {
    format_version: 1,
    name,
    description,
    status: state.status,
    seeds,
    budget: budget ?? null,
    sweep: sweep ?? null,
    metrics,
    variants: variants.map((variant) => describeVariant(variant, all)),
    rule: RULE,
    comparisons: Object.fromEntries(all.map((metric) => [metric, compare(experiment, metric)])),
    measured: {
      experiment: state.id,
      created: state.created,
      ended: state.ended,
      adapter: state.adapter,
      versions: state.versions,
      comparisons: Object.fromEntries(
        measured.filter((metric) => metrics.includes(metric)).map((
          metric,
        ) => [metric, compare(experiment, metric)]),
      ),
    },
  };
}

/** Metrics that differ from one run to the next, all of which are told whether they are compared or not. */
const MEASURED = (Object.keys(METRIC_INFO) as Metric[]).filter((metric) => METRIC_INFO[metric].measured);

function describeVariant(variant: ReportedVariant, metrics: readonly Metric[]): Record<string, unknown> {
  const { plan, runs, spread } = variant;
  return {
    name: plan.name,
    model: plan.model,
    values: plan.values,
    parameters: plan.parameters,
    tokenizer: plan.tokenizer,
    vocab_size: plan.vocab_size,
    tokens_per_step: plan.tokens_per_step,
    flops_per_step: plan.flops_per_step,
    max_steps: plan.max_steps,
    metrics: Object.fromEntries(metrics.map((metric) => [metric, spread(metric)])),
    measured: Object.fromEntries(MEASURED.map((metric) => [metric, spread(metric)])),
    runs: runs.map((run) => describeRun(run, plan.flops_per_step, metrics)),
  };
}

function describeRun(
  { entry, data }: ReportedRun,
  flops: number,
  metrics: readonly Metric[],
): Record<string, unknown> {
  const values = (names: readonly Metric[]) =>
    Object.fromEntries(names.map((metric) => [metric, data?.metrics[metric] ?? null]));
  return {
    seed: entry.seed,
    status: entry.status,
    ...(entry.error === null ? {} : { error: entry.error }),
    steps: data?.steps ?? 0,
    tokens: data?.tokens ?? 0,
    flops: (data?.steps ?? 0) * flops,
    metrics: values(metrics),
    ...(data?.sample == null ? {} : { sample: data.sample }),
    measured: values(MEASURED),
  };
}
