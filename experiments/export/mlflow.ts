/**
 * Runs into an MLflow server, over its REST API (mlflow.org/docs/latest/rest-api.html): a run becomes a run, its
 * configuration parameters, its metrics metrics, what is known of it tags. Left out: artifacts, whose store is often elsewhere.
 */

import { UserError } from "../../common/mod.ts";
import type { RunEntry, RunState } from "../reading/run_entry.ts";
import { readLines } from "../reading/run_lines.ts";
import { metricsOf } from "../tracker/metric_summary.ts";
import {
  batches,
  type Entity,
  MAX_EXPERIMENT_NAME,
  MAX_PARAM_VALUE,
  MAX_TAG_VALUE,
  mlflowKeys,
} from "./mlflow_limits.ts";
import { MlflowServer } from "./mlflow_server.ts";

/** A run that was sent, and what it is called there. */
export interface SentRun {
  id: string;
  mlflow_run_id: string;
  mlflow_experiment_id: string;
}

/** MLflow's words for how a run stands. */
const STATUS: Record<RunState, string> = {
  created: "SCHEDULED",
  running: "RUNNING",
  completed: "FINISHED",
  failed: "FAILED",
  interrupted: "KILLED",
  killed: "KILLED",
  unknown: "FINISHED",
};

/**
 * Sends runs to a server, one after the other, into an experiment that is made where there is none of that name.
 *
 * @param address such as `http://127.0.0.1:5000`
 * @throws UserError if the server cannot be reached, or refuses something
 */
export async function sendToMlflow(
  runs: readonly RunEntry[],
  address: string,
  experiment: string,
): Promise<SentRun[]> {
  const name = [...experiment].slice(0, MAX_EXPERIMENT_NAME).join("");
  if (name.trim() === "") throw new UserError("--experiment must have a name");
  const server = new MlflowServer(address);
  const experimentId = await experimentOf(server, name);
  const sent: SentRun[] = [];
  for (const run of runs) {
    sent.push({
      id: run.id,
      mlflow_run_id: await send(run, server, experimentId),
      mlflow_experiment_id: experimentId,
    });
  }
  return sent;
}

async function experimentOf(server: MlflowServer, name: string): Promise<string> {
  const known = await server.get("experiments/get-by-name", { experiment_name: name });
  const found = (known?.experiment as { experiment_id?: unknown } | undefined)?.experiment_id;
  return found === undefined
    ? String((await server.post("experiments/create", { name })).experiment_id)
    : String(found);
}

async function send(run: RunEntry, server: MlflowServer, experimentId: string): Promise<string> {
  const answer = await server.post("runs/create", {
    experiment_id: experimentId,
    run_name: cut(run.name, MAX_TAG_VALUE),
    start_time: timeOf(run.created, Date.now()),
  });
  const runId = String((answer.run as { info: { run_id: unknown } }).info.run_id);
  for (const batch of batches({ metrics: metricEntities(run), params: paramsOf(run), tags: tagsOf(run) })) {
    await server.post("runs/log-batch", { run_id: runId, ...batch });
  }
  const status = STATUS[run.state];
  const end = status === "RUNNING" || status === "SCHEDULED"
    ? {}
    : { end_time: timeOf(run.ended ?? run.metrics.time, timeOf(run.created, Date.now())) };
  await server.post("runs/update", { run_id: runId, status, ...end });
  return runId;
}

/** One entry a value; what was not finite goes as the text `NaN`, as JSON writes doubles of Protocol Buffers. */
function metricEntities(run: RunEntry): Entity[] {
  const keys = mlflowKeys(Object.keys(run.metrics.by_name));
  const start = timeOf(run.created, 0);
  return readLines(run, "metrics").flatMap((line) =>
    metricsOf(line).map(([name, value]) => ({
      key: keys.get(name) ?? mlflowKeys([name]).get(name)!,
      value: value ?? "NaN",
      timestamp: timeOf(line.time, start),
      step: typeof line.step === "number" ? Math.round(line.step) : 0,
    }))
  );
}

function paramsOf({ config }: RunEntry): Entity[] {
  const keys = mlflowKeys(Object.keys(config));
  return Object.entries(config).map(([name, value]) => ({
    key: keys.get(name)!,
    value: cut(typeof value === "string" ? value : JSON.stringify(value) ?? "", MAX_PARAM_VALUE),
  }));
}

function tagsOf({ id, tags, notes, parents, record }: RunEntry): Entity[] {
  const commit = record.git_commit;
  const command = record.command_line;
  const all: Record<string, unknown> = {
    "chatgot.run": id,
    "chatgot.tags": tags.length === 0 ? undefined : JSON.stringify(tags),
    "chatgot.parents": parents.length === 0 ? undefined : JSON.stringify(parents),
    "chatgot.adapter": record.adapter,
    "chatgot.host": record.host,
    "mlflow.note.content": notes === "" ? undefined : notes,
    "mlflow.source.git.commit": commit,
    "mlflow.source.name": Array.isArray(command) ? command.join(" ") : undefined,
  };
  return Object.entries(all)
    .filter(([, value]) => typeof value === "string")
    .map(([key, value]) => ({ key, value: cut(value as string, MAX_TAG_VALUE) }));
}

/** A text of at most so many characters, as Python counts them. */
function cut(text: string, most: number): string {
  const letters = [...text];
  return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : text;
}

/** Milliseconds since 1970. */
function timeOf(time: unknown, otherwise: number): number {
  const milliseconds = typeof time === "string" ? Date.parse(time) : NaN;
  return Number.isFinite(milliseconds) && milliseconds >= 0 ? milliseconds : otherwise;
}
