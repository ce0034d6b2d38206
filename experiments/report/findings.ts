/** What an experiment found, in sentences: the best variant, which differences are larger than the spread of seeds, what to beware of. */

import { formatMetric, type Metric, METRIC_INFO } from "../runner/metrics.ts";
import type { ReportedExperiment, ReportedVariant } from "./collect.ts";
import { bestOf, compare, type Comparison } from "./compare.ts";
import type { Spread } from "./statistics.ts";

/** Differences that are told one by one; the table has all. */
const TOLD = 8;

/** The findings, one sentence or two each. */
export function findings(experiment: ReportedExperiment): string[] {
  const { state, variants } = experiment;
  const metric = state.config.metrics[0]!;
  return [
    ...best(variants, metric),
    ...differences(compare(experiment, metric), metric),
    ...cautions(experiment),
    ...failures(experiment),
  ];
}

/** A spread for people: `2.3457 ± 0.0012` or a single value. */
export function formatSpread(metric: Metric, spread: Spread | null): string {
  if (spread === null) return "";
  const mean = formatMetric(metric, spread.mean);
  const { std } = spread;
  return std === null || std === 0 ? mean : `${mean} ± ${formatMetric(metric, std)}`;
}

function best(variants: readonly ReportedVariant[], metric: Metric): string[] {
  const found = bestOf(variants, metric);
  const spread = found?.spread(metric);
  if (found === undefined || spread == null) return ["No run has come to its end."];
  if (variants.length === 1) return [];
  const { label, unit, better } = METRIC_INFO[metric];
  const over = spread.n === 1 ? "one seed" : `mean and standard deviation of ${spread.n} seeds`;
  const most = better === "less" ? "least" : "largest";
  return [`${found.plan.name} has the ${most} ${label}: ${formatSpread(metric, spread)} ${unit} (${over}).`];
}

function differences(comparisons: readonly Comparison[], metric: Metric): string[] {
  if (comparisons.length === 0) return [];
  const known = comparisons.filter(({ larger }) => larger !== null);
  if (known.length === 0) {
    return [
      "There are variants of a single seed: whether a difference is larger than the spread of seeds cannot be said.",
    ];
  }
  const larger = known.filter((comparison) => comparison.larger).sort((a, b) => a.p! - b.p!);
  const same = known.filter((comparison) => !comparison.larger);
  const { better } = METRIC_INFO[metric];
  const told = larger.slice(0, TOLD).map((comparison) => {
    const { first, second, difference } = comparison;
    const secondWins = (better === "less") === (difference < 0);
    const [winner, loser] = secondWins ? [second, first] : [first, second];
    return `${winner} is better than ${loser} by ${inWords(comparison, metric)}.`;
  });
  return [
    larger.length === 0
      ? "No difference is larger than the spread of seeds."
      : known.length === 1
      ? "The difference is larger than the spread of seeds."
      : `${larger.length} of ${known.length} differences are larger than the spread of seeds.`,
    ...told,
    ...(larger.length > TOLD ? [`And ${larger.length - TOLD} more, see the table of differences.`] : []),
    ...(same.length === 0 || larger.length === 0 || same.length > TOLD
      ? []
      : [`Not larger than it: ${same.map(({ first, second }) => `${first} and ${second}`).join("; ")}.`]),
    ...(known.length < comparisons.length ? ["Of variants with a single seed nothing can be said."] : []),
  ];
}

function inWords({ difference, interval, p }: Comparison, metric: Metric): string {
  const ends = interval!.map(Math.abs).sort((a, b) => a - b).map((end) => formatMetric(metric, end));
  const chance = p! < 0.0001 ? "p < 0.0001" : `p = ${p!.toPrecision(2)}`;
  return `${formatMetric(metric, Math.abs(difference))} ${METRIC_INFO[metric].unit} (95 %: ${
    ends.join(" to ")
  }; ${chance})`;
}

function cautions({ state, variants }: ReportedExperiment): string[] {
  const tokenizers = new Set(variants.map(({ plan }) => `${plan.tokenizer} ${plan.vocab_size}`));
  const perToken = state.config.metrics.filter((metric) => METRIC_INFO[metric].unit.endsWith("per token"));
  const { method } = state.config.sweep ?? {};
  const stopped = state.runs.filter(({ status }) => status === "stopped").length;
  return [
    ...(tokenizers.size > 1 && perToken.length > 0
      ? [
        `The variants have different tokenizers, so ${
          perToken.join(" and ")
        } do not compare between them; bits per byte do.`,
      ]
      : []),
    ...(stopped > 0 && (method === "halving" || method === "asha")
      ? [
        `${stopped} of ${state.runs.length} runs were stopped on the way, since others were better there. ` +
        "The rest had more chances to be lucky: to be sure, train the best again with other seeds.",
      ]
      : []),
  ];
}

function failures({ state }: ReportedExperiment): string[] {
  return state.runs.filter(({ status }) => status === "failed")
    .map(({ variant, seed, error }) => `${variant} with seed ${seed} failed: ${error}`);
}
