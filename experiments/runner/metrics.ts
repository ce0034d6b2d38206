/** What runs are compared by: each metric's meaning, and which way is better. */

import { humanBytes, humanCount, humanDuration } from "../../common/mod.ts";

/** The metrics that an experiment may compare its runs by. */
export const METRICS = [
  "val_bits_per_byte",
  "val_loss",
  "val_perplexity",
  "train_loss",
  "tokens_per_second",
  "training_seconds",
  "device_memory_bytes",
  "process_memory_bytes",
  "joules_per_million_tokens",
] as const;

/** The name of a metric. */
export type Metric = typeof METRICS[number];

/** What people need to know of a metric. */
export interface MetricInfo {
  /** What it is, in a few words. */
  label: string;
  unit: string;
  better: "less" | "more";
  /** Whether it depends on the machine and the moment, so that a second run gives another value. */
  measured: boolean;
}

/** The metrics, explained. */
export const METRIC_INFO: Readonly<Record<Metric, MetricInfo>> = {
  val_bits_per_byte: { label: "validation loss", unit: "bits per byte", better: "less", measured: false },
  val_loss: { label: "validation loss", unit: "nats per token", better: "less", measured: false },
  val_perplexity: { label: "validation perplexity", unit: "per token", better: "less", measured: false },
  train_loss: {
    label: "training loss of the last interval",
    unit: "nats per token",
    better: "less",
    measured: false,
  },
  tokens_per_second: { label: "throughput", unit: "tokens/s", better: "more", measured: true },
  training_seconds: { label: "training time", unit: "s", better: "less", measured: true },
  device_memory_bytes: {
    label: "planned memory on the device",
    unit: "bytes",
    better: "less",
    measured: true,
  },
  process_memory_bytes: {
    label: "most memory of the process, what earlier runs left included",
    unit: "bytes",
    better: "less",
    measured: true,
  },
  joules_per_million_tokens: {
    label: "energy of GPU and processor",
    unit: "J per million tokens",
    better: "less",
    measured: true,
  },
};

/**
 * A metric's value for people, without its unit.
 *
 * @example
 * ```ts
 * import { formatMetric } from "./metrics.ts";
 * formatMetric("val_bits_per_byte", 2.34567); // "2.3457"
 * ```
 */
export function formatMetric(metric: Metric, value: number): string {
  if (metric.endsWith("_bytes")) return humanBytes(value);
  if (metric === "training_seconds") return humanDuration(value);
  if (METRIC_INFO[metric].measured) return humanCount(Math.round(value));
  return value.toFixed(4);
}
