/**
 * A small MLflow server for tests: the part of the REST API that an export needs, held to what its documentation and its
 * validation (mlflow/utils/validation.py) say: fields, types, letters, lengths, sizes, and no parameter set twice.
 */

type Json = Record<string, unknown>;

/** What one of its runs holds. */
export interface StoredRun {
  experiment_id: string;
  run_name: string;
  start_time: number;
  end_time?: number;
  status: string;
  params: Map<string, string>;
  tags: Map<string, string>;
  metrics: { key: string; value: number; timestamp: number; step: number }[];
}

class Refused extends Error {
  constructor(readonly code: string, message: string, readonly status = 400) {
    super(message);
  }
}

const wrong = (message: string): never => {
  throw new Refused("INVALID_PARAMETER_VALUE", message);
};

/** The server; `using` it ends it. */
export class MlflowTestServer implements AsyncDisposable {
  readonly experiments = new Map<string, string>();
  readonly runs = new Map<string, StoredRun>();
  /** Sizes of the requests to log-batch. */
  readonly batches: { metrics: number; params: number; tags: number; bytes: number }[] = [];
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => this.#answer(request),
  );

  /** Where it listens. */
  get address(): string {
    return `http://127.0.0.1:${(this.#server.addr as Deno.NetAddr).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    try {
      return Response.json(await this.#route(request));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return Response.json({ error_code: error.code, message: error.message }, { status: error.status });
    }
  }

  async #route(request: Request): Promise<Json> {
    const { pathname, searchParams } = new URL(request.url);
    const path = /^\/api\/2\.0\/mlflow\/(.*)$/.exec(pathname)?.[1];
    if (request.method === "GET" && path === "experiments/get-by-name") {
      const id = this.experiments.get(searchParams.get("experiment_name") ?? "");
      if (id === undefined) throw new Refused("RESOURCE_DOES_NOT_EXIST", "no such experiment", 404);
      return { experiment: { experiment_id: id, name: searchParams.get("experiment_name") } };
    }
    if (request.method !== "POST") {
      throw new Refused("ENDPOINT_NOT_FOUND", `${request.method} ${pathname}`, 404);
    }
    if (request.headers.get("content-type") !== "application/json") wrong("content-type");
    const text = await request.text();
    const json = JSON.parse(text) as Json;
    switch (path) {
      case "experiments/create":
        return this.#createExperiment(json);
      case "runs/create":
        return this.#createRun(json);
      case "runs/log-batch":
        return this.#logBatch(json, new TextEncoder().encode(text).length);
      case "runs/update":
        return this.#update(json);
      default:
        throw new Refused("ENDPOINT_NOT_FOUND", pathname, 404);
    }
  }

  #createExperiment(json: Json): Json {
    onlyKeys(json, ["name", "artifact_location", "tags"]);
    const { name } = json;
    if (typeof name !== "string" || name === "" || [...name].length > 500) return wrong("experiment name");
    if (this.experiments.has(name)) throw new Refused("RESOURCE_ALREADY_EXISTS", name);
    this.experiments.set(name, String(this.experiments.size + 1));
    return { experiment_id: this.experiments.get(name) };
  }

  #createRun(json: Json): Json {
    onlyKeys(json, ["experiment_id", "user_id", "run_name", "start_time", "tags"]);
    const { experiment_id, run_name, start_time } = json;
    if (![...this.experiments.values()].includes(String(experiment_id))) {
      throw new Refused("RESOURCE_DOES_NOT_EXIST", "no such experiment", 404);
    }
    if (typeof run_name !== "string" || [...run_name].length > 5000) return wrong("run_name");
    if (!isInt64(start_time)) return wrong("start_time");
    const run_id = crypto.randomUUID().replaceAll("-", "");
    const maps = { params: new Map(), tags: new Map(), metrics: [] };
    this.runs.set(run_id, {
      experiment_id: String(experiment_id),
      run_name,
      start_time,
      status: "RUNNING",
      ...maps,
    });
    return { run: { info: { run_id, experiment_id, status: "RUNNING" }, data: {} } };
  }

  #logBatch(json: Json, bytes: number): Json {
    onlyKeys(json, ["run_id", "metrics", "params", "tags"]);
    if (bytes > 1_000_000) wrong(`a request of ${bytes} bytes`);
    const run = this.#runOf(json);
    const { metrics, params, tags } = json as { metrics: Json[]; params: Json[]; tags: Json[] };
    if (metrics.length > 1000 || params.length > 100 || tags.length > 100) wrong("a batch too large");
    if (metrics.length + params.length + tags.length > 1000) wrong("more than 1000 entities");
    this.batches.push({ metrics: metrics.length, params: params.length, tags: tags.length, bytes });
    for (const metric of metrics) {
      onlyKeys(metric, ["key", "value", "timestamp", "step"]);
      const key = checkKey(metric.key);
      const value = typeof metric.value === "number"
        ? metric.value
        : ["NaN", "Infinity", "-Infinity"].includes(metric.value as string)
        ? Number(metric.value)
        : wrong("a metric's value");
      if (!isInt64(metric.timestamp) || metric.timestamp < 0 || !isInt64(metric.step)) {
        return wrong("timestamp or step");
      }
      run.metrics.push({ key, value, timestamp: metric.timestamp, step: metric.step });
    }
    for (const [entities, most, into] of [[params, 6000, run.params], [tags, 5000, run.tags]] as const) {
      for (const { key, value, ...more } of entities) {
        onlyKeys(more, []);
        if (typeof value !== "string" || [...value].length > most) return wrong("a value's length");
        if (into === run.params && into.has(String(key))) return wrong(`parameter ${key} is set twice`);
        into.set(checkKey(key), value);
      }
    }
    return {};
  }

  #update(json: Json): Json {
    onlyKeys(json, ["run_id", "status", "end_time", "run_name"]);
    const run = this.#runOf(json);
    const statuses = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];
    if (!statuses.includes(String(json.status))) wrong("status");
    run.status = String(json.status);
    if (json.end_time !== undefined) {
      run.end_time = isInt64(json.end_time) ? json.end_time : wrong("end_time");
    }
    return { run_info: { run_id: json.run_id } };
  }

  #runOf({ run_id }: Json): StoredRun {
    if (typeof run_id !== "string" || !/^[a-zA-Z0-9][\w-]{0,255}$/.test(run_id)) return wrong("run_id");
    const run = this.runs.get(run_id);
    if (run === undefined) throw new Refused("RESOURCE_DOES_NOT_EXIST", run_id, 404);
    return run;
  }
}

function onlyKeys(json: Json, known: string[]): void {
  const unknown = Object.keys(json).filter((key) => !known.includes(key));
  if (unknown.length > 0) wrong(`unknown fields ${unknown}`);
}

function isInt64(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

/** A name of the letters that are taken, which as a path means itself. */
function checkKey(key: unknown): string {
  if (typeof key !== "string" || key === "" || [...key].length > 250 || !/^[/\w.\- ]*$/.test(key)) {
    return wrong(`the name ${JSON.stringify(key)}`);
  }
  const parts = key.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) return wrong(`the path ${key}`);
  return key;
}
