/** One run as its page shows it. Left out: its curves (`series.ts`), which are asked for by themselves. */

import * as path from "path";
import type { MetricSeries } from "../reading/metric_series.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { readLines } from "../reading/run_lines.ts";
import type { ComparedRun, MetricRow, RunDetails, Sample } from "./api_types.ts";
import { listArtifacts } from "./artifacts.ts";

/** Of longer lists the newest so many are given. */
const MAX_EVENTS = 1000;
const MAX_SAMPLES = 500;

/**
 * All that stands at the top of a run's page.
 *
 * @param runs every run, to find those that name this one as their parent
 */
export async function detailsOf(
  run: RunEntry,
  runs: readonly RunEntry[],
  system: ReadonlyMap<string, MetricSeries>,
): Promise<RunDetails> {
  const { id, name, state, created, ended, tags, notes, archived, parents, problems, config, record } = run;
  const { step, tokens, time } = run.metrics;
  return {
    id,
    name,
    state,
    created,
    ended,
    tags,
    notes,
    archived,
    parents,
    children: runs.filter((other) => other.parents.includes(id)).map((other) => other.id),
    problems,
    config,
    record,
    step,
    tokens,
    last_time: time,
    metrics: metricRows(run),
    system: [...system.keys()],
    events: readLines(run, "events").slice(-MAX_EVENTS),
    samples: readLines(run, "samples").length,
    artifacts: await listArtifacts(path.join(run.dir, "artifacts")),
  };
}

/** What the model wrote on the way, the newest last. Lines of another form come as far as they can be understood. */
export function samplesOf(run: RunEntry): Sample[] {
  return readLines(run, "samples").slice(-MAX_SAMPLES).map(({ step, time, prompt, text }) => ({
    step: typeof step === "number" ? step : null,
    time: typeof time === "string" ? time : null,
    prompt: typeof prompt === "string" ? prompt : "",
    text: typeof text === "string" ? text : JSON.stringify(text ?? null),
  }));
}

/** A run as one of several that are compared. */
export function comparedOf(run: RunEntry): ComparedRun {
  const { id, name, state, config, record } = run;
  return {
    id,
    name,
    state,
    config,
    metrics: metricRows(run),
    has_flops: typeof record.flops_per_token === "number",
  };
}

function metricRows({ metrics }: RunEntry): MetricRow[] {
  return Object.entries(metrics.by_name).map(([name, summary]) => ({ name, ...summary }));
}
