/**
 * Comparing what a benchmark suite measured with a baseline: ratios, and how far they may be chance.
 *
 * A ratio is the now's median over the baseline's, or the other way round where less is better, so that more than 1 is always
 * better. Its spread goes from the now's lower quartile over the baseline's upper one to the now's upper over the baseline's
 * lower. It has regressed when all of its spread lies below 1 by more than a tolerance: one repeat that was
 * disturbed changes no quartile, and machines differ a little from one hour to the next.
 */

import { z } from "zod";
import { displayPath, readJsonl, UserError, userPath, validate } from "../common/mod.ts";

/** What a suite measures: which way is better, and what part of the baseline is no regression. */
export const KINDS = {
  train: { better: "higher", tolerance: 0.05, unit: "tokens/s" },
  generate: { better: "higher", tolerance: 0.05, unit: "tokens/s" },
  loss: { better: "lower", tolerance: 0.01, unit: "nats/token" },
  deviation: { better: "lower", tolerance: 0.5, unit: "of tolerance" },
} as const;

/** One of them. */
export type Kind = keyof typeof KINDS;

/** All of them, in the order in which they are measured. */
export const KIND_NAMES = Object.keys(KINDS) as Kind[];

/** The part of a measurement's line that is compared. */
export const measurementSchema = z.looseObject({
  kind: z.enum(KIND_NAMES),
  /** Name of the configuration. */
  config: z.string(),
  /** Of what was measured: the same only where the numbers mean the same. */
  digest: z.string(),
  adapter: z.string(),
  /** Every value, in the unit of the kind. */
  repeats: z.array(z.number().min(0)).min(1),
});

/** A measurement as a line of a suite's file holds it. */
export type Measurement = z.output<typeof measurementSchema>;

/** How a measurement stands to the baseline. */
export interface Comparison {
  kind: Kind;
  config: string;
  /** Medians, in the unit of the kind; null where the baseline has none that is comparable. */
  baseline: number | null;
  now: number;
  /** More than 1 is better; with the ends of its spread. */
  ratio: number | null;
  ratio_low: number | null;
  ratio_high: number | null;
  verdict: "regressed" | "improved" | "same" | "not in the baseline" | "another adapter" | "another setting";
}

/**
 * Reads the file of a suite.
 *
 * @throws UserError that names the file, and the line that is not a measurement; also when there is none.
 */
export async function readMeasurements(path: string): Promise<Measurement[]> {
  const lines = await readJsonl(userPath(path));
  const file = displayPath(userPath(path));
  if (lines.length === 0) {
    throw new UserError("holds no measurements", {
      file,
      hint: "give a file that `benchmark suite` has written",
    });
  }
  return lines.map((line, i) => validate(measurementSchema, line, { file, lineOf: () => i + 1 }));
}

/**
 * Compares measurements with a baseline's. Of several of one kind and configuration in the baseline the last one counts.
 *
 * @param tolerance part of the baseline that is no regression; that of the kind when left out
 *
 * @example
 * ```ts
 * import { compare } from "./suite_compare.ts";
 * const line = { kind: "train", config: "tiny", digest: "", adapter: "llvmpipe" } as const;
 * const [found] = compare([{ ...line, repeats: [80, 81, 82] }], [{ ...line, repeats: [99, 100, 101] }]);
 * console.log(found?.ratio, found?.verdict); // 0.81 regressed
 * ```
 */
export function compare(now: Measurement[], baseline: Measurement[], tolerance?: number): Comparison[] {
  return now.map((measured) => {
    const { kind, config, adapter, digest } = measured;
    const before = baseline.findLast((line) => line.kind === kind && line.config === config);
    const [low, median, high] = quartiles(measured.repeats);
    const line = {
      kind,
      config,
      baseline: null,
      now: median,
      ratio: null,
      ratio_low: null,
      ratio_high: null,
    };
    if (before === undefined) return { ...line, verdict: "not in the baseline" };
    if (before.adapter !== adapter) return { ...line, verdict: "another adapter" };
    if (before.digest !== digest) return { ...line, verdict: "another setting" };
    const [baseLow, baseMedian, baseHigh] = quartiles(before.repeats);
    const [worst, middle, best] = KINDS[kind].better === "higher"
      ? [over(low, baseHigh), over(median, baseMedian), over(high, baseLow)]
      : [over(baseLow, high), over(baseMedian, median), over(baseHigh, low)];
    const allowed = tolerance ?? KINDS[kind].tolerance;
    const verdict = best < 1 - allowed ? "regressed" : worst > 1 + allowed ? "improved" : "same";
    return { ...line, baseline: baseMedian, ratio: middle, ratio_low: worst, ratio_high: best, verdict };
  });
}

/** Lower quartile, median and upper quartile; between two values in proportion (type 7 of Hyndman and Fan, 1996). */
export function quartiles(values: readonly number[]): [number, number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => {
    const place = part * (sorted.length - 1);
    const [below, above] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
    return below + (above - below) * (place - Math.floor(place));
  };
  return [at(0.25), at(0.5), at(0.75)];
}

/** A quotient; that of two equal numbers is 1 even where they are 0. */
function over(a: number, b: number): number {
  return a === b ? 1 : a / b;
}
