/** What a run's folder says of it: curves, final metrics, the text at the end. Reads files alone; the run may still go on. */

import { readLines } from "../reading/run_lines.ts";
import { readRun } from "../tracker/run_record.ts";
import { type Metric, METRIC_INFO } from "./metrics.ts";

/** What was measured at a step of a run. */
export interface CurvePoint {
  step: number;
  tokens: number;
  /** Training time up to here, without evaluations and what else stands between steps. */
  seconds: number;
  value: number;
}

/** A run, read. */
export interface RunData {
  /** How its record says it stands. */
  status: string;
  steps: number;
  tokens: number;
  /** Final values, or those of the last time that they were measured; null where there are none. */
  metrics: Record<Metric, number | null>;
  /** `val_bits_per_byte`, `val_loss` and `train_loss` over the run. */
  curves: Record<CurveMetric, CurvePoint[]>;
  /** The text at the end with its prompt, if there is one. */
  sample: string | null;
}

/** The metrics that a run is followed by. */
export const CURVES = ["val_bits_per_byte", "val_loss", "train_loss"] as const;

/** The name of one of them. */
export type CurveMetric = typeof CURVES[number];

/**
 * Reads a run.
 *
 * @param deviceMemory memory on the device as planned, in bytes
 * @throws UserError when the folder holds no run, or its files are broken
 */
export async function readRunData(dir: string, deviceMemory: number | null = null): Promise<RunData> {
  const { status, summary } = await readRun(dir);
  const lines = readLines(dir, "metrics");
  const curves: RunData["curves"] = { val_bits_per_byte: [], val_loss: [], train_loss: [] };
  let [seconds, tokens, steps, timed] = [0, 0, 0, 0];
  for (const line of lines) {
    const rate = numberOf(line.tokens_per_second);
    steps = numberOf(line.step) ?? steps;
    tokens = numberOf(line.tokens) ?? tokens;
    if (rate !== null && rate > 0) [seconds, timed] = [seconds + (tokens - timed) / rate, tokens];
    for (const metric of CURVES) {
      const value = numberOf(line[metric]);
      if (value !== null) curves[metric].push({ step: steps, tokens, seconds, value });
    }
  }
  const last = (metric: CurveMetric) => curves[metric].at(-1)?.value ?? null;
  const val_loss = last("val_loss");
  const sample = readLines(dir, "samples").at(-1);
  return {
    status,
    steps: numberOf(summary.steps) ?? steps,
    tokens: numberOf(summary.tokens) ?? tokens,
    metrics: {
      val_bits_per_byte: last("val_bits_per_byte"),
      val_loss,
      val_perplexity: val_loss === null ? null : Math.exp(val_loss),
      train_loss: last("train_loss"),
      tokens_per_second: seconds > 0 ? timed / seconds : null,
      training_seconds: seconds > 0 ? seconds : null,
      device_memory_bytes: deviceMemory,
      process_memory_bytes: numberOf(summary.process_rss_peak_bytes),
      joules_per_million_tokens: energyOf(summary),
    },
    curves,
    sample: sample === undefined ? null : `${sample.prompt ?? ""}${sample.text ?? ""}`,
  };
}

/**
 * The value of a metric after a step, as a score of which less is better; null if it was not measured then.
 *
 * @param step the rung's step; the training loss is that of the last line up to there
 */
export function scoreAt({ curves, metrics }: RunData, metric: Metric, step: number): number | null {
  const sign = METRIC_INFO[metric].better === "more" ? -1 : 1;
  const curve = metric === "val_perplexity" ? "val_loss" : metric;
  if (!isCurve(curve)) return metrics[metric] === null ? null : sign * metrics[metric];
  const point = curves[curve].findLast((point) => point.step <= step);
  if (point === undefined || (curve !== "train_loss" && point.step !== step)) return null;
  return metric === "val_perplexity" ? Math.exp(point.value) : point.value;
}

/** Whether a metric is one that a run is followed by. */
export function isCurve(metric: string): metric is CurveMetric {
  return (CURVES as readonly string[]).includes(metric);
}

/** Energy of what is known of GPU and processor; null where nothing is. */
function energyOf(summary: Record<string, unknown>): number | null {
  const known = ["gpu", "cpu"].flatMap((part) =>
    numberOf(summary[`${part}_energy_joules_per_million_tokens`]) ?? []
  );
  return known.length === 0 ? null : known.reduce((a, b) => a + b);
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
