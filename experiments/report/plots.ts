/** The charts of an experiment's report: curves over tokens, time and work, final values with their spread, speed and memory. */

import { type Bar, barChart } from "../charts/bar_chart.ts";
import type { Chart } from "../charts/chart.ts";
import { lineChart, type Series } from "../charts/line_chart.ts";
import { spreadOf } from "../charts/series.ts";
import { type Metric, METRIC_INFO } from "../runner/metrics.ts";
import { type CurveMetric, type CurvePoint, isCurve } from "../runner/run_data.ts";
import { pointLabel } from "../runner/sweep.ts";
import type { ReportedExperiment, ReportedVariant } from "./collect.ts";

/** A chart with the first part of its file's name. */
export interface NamedChart {
  name: string;
  chart: Chart;
}

/** More variants than this make lines that nobody can tell apart; then the best ones are shown. */
const LINES = 8;

const WIDTH = 620;

/** Where a point of a curve stands. */
interface Over {
  key: "tokens" | "time" | "flops";
  label: string;
  x: (point: CurvePoint, variant: ReportedVariant) => number;
}

const OVER: Over[] = [
  { key: "tokens", label: "tokens trained on", x: ({ tokens }) => tokens },
  { key: "time", label: "training time, seconds", x: ({ seconds }) => seconds },
  {
    key: "flops",
    label: "floating-point operations of training",
    x: ({ step }, { plan }) => step * plan.flops_per_step,
  },
];

/** The curves: the deciding metric over tokens, time and work, and the training loss over tokens where it compares. */
export function curves(experiment: ReportedExperiment): NamedChart[] {
  const [metric] = experiment.state.config.metrics;
  const deciding: CurveMetric = isCurve(metric!) ? metric : "val_bits_per_byte";
  const charts = OVER.flatMap((over) => curve(experiment, deciding, over));
  const comparable =
    new Set(experiment.variants.map(({ plan }) => `${plan.tokenizer} ${plan.vocab_size}`)).size === 1;
  return deciding === "train_loss" || !comparable
    ? charts
    : [...charts, ...curve(experiment, "train_loss", OVER[0]!)];
}

function curve(experiment: ReportedExperiment, metric: CurveMetric, over: Over): NamedChart[] {
  const series = leading(experiment, metric)
    .map((variant) => seriesOf(variant, metric, over))
    .filter(({ points }) => points.length > 0);
  if (series.length === 0) return [];
  const { label, unit } = METRIC_INFO[metric];
  const chart = lineChart(focused(series), {
    title: `${capital(label.replace(/ of .*/, ""))} over ${over.key === "flops" ? "work" : over.key}`,
    x: { label: over.label },
    y: { label: unit },
    width: WIDTH,
  });
  return [{ name: `${metric}_over_${over.key}`, chart }];
}

/**
 * The mean of the seeds with their least and largest. Points of one step belong together: over time each stands at the mean of its
 * times, since no two runs are equally fast. A run that failed early has no part in it.
 */
function seriesOf(variant: ReportedVariant, metric: CurveMetric, over: Over): Series {
  const { plan: { name }, runs } = variant;
  const each = runs.map(({ data }) => data?.curves[metric] ?? []);
  const longest = Math.max(0, ...each.map(({ length }) => length));
  const whole = each.filter(({ length }) => length === longest);
  const x = new Map<number, number>();
  for (const point of whole.flat()) {
    x.set(point.step, (x.get(point.step) ?? 0) + over.x(point, variant) / whole.length);
  }
  const { points } = spreadOf(
    name,
    whole.map((points): Series => ({
      name,
      points: points.map(({ step, value }) => ({ x: step, y: value })),
    })),
  );
  return { name, points: points.map((point) => ({ ...point, x: x.get(point.x)! })) };
}

/** Leaves out the losses of the untrained models where they would flatten all that comes after. */
function focused(series: readonly Series[]): readonly Series[] {
  const later = series.flatMap(({ points }) => points.slice(Math.ceil(points.length / 10)).map(({ y }) => y));
  const [most, least] = [Math.max(...later), Math.min(...later)];
  const highest = Math.max(...series.flatMap(({ points }) => points.map(({ y }) => y)));
  if (later.length < 10 || highest - least < 1.5 * (most - least)) return series;
  return series.map(({ points, ...rest }) => ({ ...rest, points: points.filter(({ y }) => y <= most) }));
}

/**
 * Final values of a metric, one row a variant, with the seeds as dots and their standard deviation (of rates and times, which scatter
 * on one side, the least and the largest); none where nothing was measured.
 */
export function finalValues({ variants }: ReportedExperiment, metric: Metric): NamedChart[] {
  const bars = variants.flatMap((variant): Bar[] => {
    const spread = variant.spread(metric);
    if (spread === null) return [];
    const { mean, std, min, max } = spread;
    const { name } = variant.plan;
    if (std === null || min === max) return [{ name, value: mean }];
    const [low, high] = METRIC_INFO[metric].measured ? [min, max] : [mean - std, mean + std];
    return [{ name, value: mean, low, high, dots: variant.values(metric) }];
  });
  if (bars.length === 0) return [];
  const { label, unit, measured } = METRIC_INFO[metric];
  const scaled = metric.endsWith("_bytes") ? bars.map(inMiB) : bars;
  const chart = barChart(scaled, {
    title: capital(label.replace(/ of the last .*/, "")) + (measured ? "" : " at the end"),
    value: { label: metric.endsWith("_bytes") ? "MiB" : unit },
    kind: measured ? "bars" : "points",
    width: WIDTH,
  });
  return [{ name: metric, chart }];
}

function inMiB({ name, value, low, high, dots }: Bar): Bar {
  const scale = (bytes: number) => bytes / 2 ** 20;
  return {
    name,
    value: scale(value),
    ...(low === undefined ? {} : { low: scale(low) }),
    ...(high === undefined ? {} : { high: scale(high) }),
    ...(dots === undefined ? {} : { dots: dots.map(scale) }),
  };
}

/** The deciding metric over each swept key that is a number, where the others stand still: a line a model. */
export function overSweep({ state, variants }: ReportedExperiment): NamedChart[] {
  const { sweep, metrics: [metric] } = state.config;
  const keys = Object.keys(sweep?.parameters ?? {});
  const key = keys[0];
  if (key === undefined || variants.some(({ plan }) => typeof plan.values[key] !== "number")) return [];
  const groups = Map.groupBy(variants, ({ plan }) => {
    const { [key]: _x, ...others } = plan.values;
    return [state.config.models.length > 1 ? plan.model : "", pointLabel(others, keys)].filter(Boolean).join(
      " ",
    );
  });
  if (groups.size > LINES) return [];
  const series = [...groups].map(([name, group]): Series => ({
    name: name || metric!,
    points: group.flatMap((variant) => {
      const spread = variant.spread(metric!);
      return spread === null
        ? []
        : [{ x: variant.plan.values[key] as number, y: spread.mean, low: spread.min, high: spread.max }];
    }).sort((a, b) => a.x - b.x),
  })).filter(({ points }) => points.length > 1);
  if (series.length === 0) return [];
  const xs = series.flatMap(({ points }) => points.map(({ x }) => x));
  const log = Math.min(...xs) > 0 && Math.max(...xs) / Math.min(...xs) > 10;
  const { label, unit } = METRIC_INFO[metric!];
  const chart = lineChart(series, {
    title: `${capital(label)} over ${key}`,
    x: { label: key, log },
    y: { label: unit },
    width: WIDTH,
  });
  return [{ name: `${metric}_over_${key.replaceAll(".", "_")}`, chart }];
}

/** The variants that curves are drawn of: all, or of many those with the least last value. */
function leading({ variants }: ReportedExperiment, metric: CurveMetric): ReportedVariant[] {
  if (variants.length <= LINES) return variants;
  const last = ({ runs }: ReportedVariant) => runs[0]?.data?.curves[metric].at(-1);
  const rank = (variant: ReportedVariant) =>
    [-(last(variant)?.step ?? 0), last(variant)?.value ?? Infinity] as const;
  const best = [...variants].sort((a, b) => rank(a)[0] - rank(b)[0] || rank(a)[1] - rank(b)[1]).slice(
    0,
    LINES,
  );
  return variants.filter((variant) => best.includes(variant));
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
