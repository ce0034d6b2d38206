/** What the page may ask for: one function for each address below `/api/`, over the runs of one folder. */

import { displayPath, VERSION } from "../../common/mod.ts";
import { Names } from "../query/names.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { RunIndex } from "../reading/run_index.ts";
import { Refusal } from "./access.ts";
import type {
  About,
  ComparedRun,
  ExperimentDetails,
  ExperimentRow,
  RunDetails,
  RunTable,
  Sample,
  Series,
  SeriesAnswer,
  SpreadSeries,
  XAxis,
} from "./api_types.ts";
import { applyChange, changeOf } from "./changes.ts";
import { comparedOf, detailsOf, samplesOf } from "./details.ts";
import { experimentDetails, EXPERIMENTS, listExperiments } from "./experiments.ts";
import { News } from "./live.ts";
import type { Query } from "./query.ts";
import { runFolder } from "./run_paths.ts";
import { type CurveOptions, groupSpreads, runCurves, seedGroups } from "./series.ts";
import { SeriesStore } from "./series_store.ts";
import { columnsOf, filterRuns, orderRuns, rowsOf } from "./table.ts";

/** More runs than this are not drawn at a time. */
const MAX_RUNS = 200;
/** More metrics than this are not drawn at a time. */
const MAX_METRICS = 100;
/** Lines of a page of the table. */
const MAX_ROWS = 500;
/** Time in which the list answers even if not all metrics are known yet; the rest follows with the next answer. */
const LIST_BUDGET_MS = 400;

const X_AXES = ["step", "tokens", "time", "flops"] as const satisfies readonly [XAxis, ...XAxis[]];

/** The addresses' functions. */
export class Api {
  readonly news: News;
  readonly #index: RunIndex;
  readonly #store = new SeriesStore();
  /** The runs as they were listed last. */
  #listed: RunEntry[] | undefined;

  /**
   * @param runsDir the folder of runs, absolute; it need not exist yet
   * @param writable what `about` tells of it
   */
  constructor(readonly runsDir: string, private readonly writable: boolean) {
    this.#index = new RunIndex(runsDir);
    this.news = new News(() => this.#signature());
  }

  /** `GET /api/about` */
  about(): About {
    return { version: VERSION, runs_dir: displayPath(this.runsDir), writable: this.writable };
  }

  /** `GET /api/runs?where=…&sort=…&desc&column=…&column=…&offset=…&limit=…&archived` */
  async runs(query: Query): Promise<RunTable> {
    const all = await this.#entries();
    const visible = query.flag("archived") ? all : all.filter(({ archived }) => !archived);
    const names = new Names(visible);
    const found = filterRuns(visible, query.text("where", ""), names);
    const sorted = orderRuns(found, query.text("sort", ""), query.flag("desc"), names);
    const offset = query.number("offset", { least: 0, most: 1e9, otherwise: 0 });
    const limit = query.number("limit", { least: 1, most: MAX_ROWS, otherwise: 100 });
    const rows = rowsOf(sorted.slice(offset, offset + limit), query.texts("column", MAX_METRICS), names);
    return {
      total: found.length,
      all: all.length,
      rows,
      columns: columnsOf(visible),
      foreign: this.#index.foreign.filter((name) => name !== EXPERIMENTS),
    };
  }

  /** `GET /api/runs/<id>` */
  async run(id: string): Promise<RunDetails> {
    const run = await this.#entry(id);
    // Who belongs to it changes seldom: the last list will do, if there was one.
    const all = this.#listed ?? await this.#entries();
    return await detailsOf(run, all, this.#store.series(run.dir, "system"));
  }

  /** `POST /api/runs/<id>`: changes a run and gives it as it is then. */
  async change(id: string, request: Request): Promise<RunDetails> {
    const { dir } = await this.#entry(id);
    applyChange(dir, await changeOf(request));
    return await this.run(id);
  }

  /** `GET /api/runs/<id>/samples` */
  async samples(id: string): Promise<Sample[]> {
    return samplesOf(await this.#entry(id));
  }

  /** `GET /api/compare?run=…&run=…` */
  async compare(query: Query): Promise<ComparedRun[]> {
    return (await this.#chosen(query)).map(comparedOf);
  }

  /** `GET /api/series?run=…&run=…&metric=…&metric=…&x=…&smoothing=…&buckets=…&log&raw&stream=…` */
  async series(query: Query): Promise<SeriesAnswer> {
    const options = curveOptions(query);
    const names = query.texts("metric", MAX_METRICS);
    const stream = query.oneOf("stream", ["metrics", "system"]);
    const series: Series[] = [];
    for (const run of await this.#chosen(query)) {
      series.push(...runCurves(run, this.#store.series(run.dir, stream), names, options));
      await new Promise((resolve) => setTimeout(resolve)); // other requests get their turn
    }
    return { x: options.x, series };
  }

  /** `GET /api/spread?run=…&run=…&metric=…&x=…&smoothing=…&buckets=…&log` */
  async spread(query: Query): Promise<{ x: XAxis; series: SpreadSeries[] }> {
    const options = curveOptions(query);
    const runs = await this.#chosen(query);
    const allOf = (run: RunEntry) => this.#store.series(run.dir);
    return { x: options.x, series: groupSpreads(seedGroups(runs), query.text("metric", ""), allOf, options) };
  }

  /** `GET /api/experiments` */
  async experiments(): Promise<ExperimentRow[]> {
    return await listExperiments(this.runsDir, await this.#entries());
  }

  /** `GET /api/experiments/<id>` */
  async experiment(id: string): Promise<ExperimentDetails> {
    return await experimentDetails(this.runsDir, id, await this.#entries());
  }

  /** `GET /api/live?run=…&list`: a stream of events. Throws `Refusal` (503) when too many listen. */
  async live(query: Query): Promise<ReadableStream<Uint8Array>> {
    if (this.news.isFull) throw new Refusal(503, "too many pages are open; close some");
    const folders = new Map<string, string>();
    for (const id of query.texts("run", MAX_RUNS)) folders.set(id, await runFolder(this.runsDir, id));
    return this.news.listen(folders, query.flag("list"));
  }

  async #entries(): Promise<RunEntry[]> {
    return this.#listed = await this.#index.refresh({ budgetMs: LIST_BUDGET_MS });
  }

  /** The runs that an address names, in its order. Throws `Refusal` (404) where one is missing. */
  #chosen(query: Query): Promise<RunEntry[]> {
    return Promise.all(query.texts("run", MAX_RUNS).map((id) => this.#entry(id)));
  }

  /** Changes whenever a line of the table may. */
  async #signature(): Promise<string> {
    const lines = (await this.#entries()).map(({ id, name, state, tags, notes, archived, metrics }) =>
      [id, name, state, tags, notes, archived, metrics.bytes].join()
    );
    return lines.join("\n");
  }

  /** A run by the name in an address. Throws `Refusal` (404) where there is none. */
  async #entry(id: string): Promise<RunEntry> {
    await runFolder(this.runsDir, id);
    const entry = this.#index.entry(id);
    if (entry === undefined) throw new Refusal(404, "there is no such run or file here");
    return entry;
  }
}

function curveOptions(query: Query): CurveOptions {
  return {
    x: query.oneOf("x", X_AXES),
    smoothing: query.number("smoothing", { least: 0, most: 0.999, otherwise: 0 }),
    buckets: query.number("buckets", { least: 10, most: 4000, otherwise: 300 }),
    logX: query.flag("log"),
    raw: query.flag("raw"),
  };
}
