/** What stands on the x axis of a curve: steps, tokens, seconds of training, or floating-point operations. */

import { isSection } from "../reading/flatten.ts";
import type { MetricSeries } from "../reading/metric_series.ts";
import type { XAxis } from "./api_types.ts";

/** What of `run.json` an axis needs. */
type RunJson = Readonly<Record<string, unknown>>;

/** Maps a series to its x; one function a run, since seams and start are the run's. */
export type AxisOf = (series: MetricSeries) => Float64Array;

/**
 * How the x of a run's series come about.
 *
 * - `time`: seconds since the run was created, without the time between an interruption and the resumption.
 * - `flops`: tokens times the operations that a token costs; NaN where the run does not tell that.
 *
 * @param record the content of `run.json`
 * @param all every series of the run: its lines tell when it was interrupted
 */
export function axisOf(axis: XAxis, record: RunJson, all: Iterable<MetricSeries>): AxisOf {
  switch (axis) {
    case "step":
      return ({ step }) => Float64Array.from(step);
    case "tokens":
      return ({ tokens }) => Float64Array.from(tokens);
    case "flops": {
      const each = flopsPerToken(record);
      return ({ tokens }) => Float64Array.from(tokens, (count) => count * each);
    }
    case "time": {
      const clock = trainingClock(record, all);
      return ({ time }) => Float64Array.from(time, clock);
    }
  }
}

/** Seconds of training at a time in milliseconds: since the beginning, less the pauses before each resumption. */
export function trainingClock(record: RunJson, all: Iterable<MetricSeries>): (time: number) => number {
  const times = Float64Array.from([...all].flatMap(({ time }) => time).filter(Number.isFinite)).sort();
  const created = typeof record.created === "string" ? Date.parse(record.created) : NaN;
  const start = Number.isFinite(created) ? created : times[0] ?? 0;
  const pauses = resumptions(record).map(({ time }) => {
    const resumed = Date.parse(time);
    const last = times.findLast((t) => t < resumed) ?? start;
    return { resumed, length: Math.max(0, resumed - last) };
  });
  return (time) => {
    const paused = pauses.reduce((sum, pause) => pause.resumed <= time ? sum + pause.length : sum, 0);
    return (time - start - paused) / 1000;
  };
}

/** The steps and times from which a run went on, as `run.json` tells them; what has another form is passed over. */
export function resumptions(record: RunJson): { step: number; time: string }[] {
  const list = Array.isArray(record.resumed) ? record.resumed : [];
  return list.filter((entry): entry is { step: number; time: string } =>
    isSection(entry) && typeof entry.step === "number" && typeof entry.time === "string"
  );
}

/** Operations that training on a token costs, as `run.json` notes it; NaN where it does not. */
function flopsPerToken(record: RunJson): number {
  return typeof record.flops_per_token === "number" ? record.flops_per_token : NaN;
}
