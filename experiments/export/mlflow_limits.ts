/** What MLflow takes (mlflow/utils/validation.py): how long names and values may be, of which letters, how many at once. */

/** A metric, parameter or tag as MLflow's JSON has it. */
export interface Entity {
  key: string;
  value: number | string;
  timestamp?: number;
  step?: number;
}

/** What goes in one request. */
export interface Batch {
  metrics: Entity[];
  params: Entity[];
  tags: Entity[];
}

/** Letters of an experiment's name. */
export const MAX_EXPERIMENT_NAME = 500;
/** Letters of a parameter's value; older servers took more than that, or cut it themselves. */
export const MAX_PARAM_VALUE = 6000;
/** Letters of a tag's value. */
export const MAX_TAG_VALUE = 5000;

const MAX_KEY = 250;
const MAX_METRICS = 1000;
const MAX_PARAMS = 100;
const MAX_TAGS = 100;
const MAX_ENTITIES = 1000;
/** A request may have 1,000,000 bytes; some are for what stands around the entities. */
const MAX_BYTES = 990_000;

/**
 * Names that MLflow takes for names that it may not: letters, digits and `_ - . /` and spaces, no path that means another.
 * Two that would become the same are told apart by a number.
 */
export function mlflowKeys(names: readonly string[]): Map<string, string> {
  const keys = new Map<string, string>();
  const taken = new Set(names.filter((name) => plain(name) === name));
  for (const name of names) {
    const key = plain(name);
    let own = key;
    if (own !== name) {
      for (let n = 2; taken.has(own); n++) own = `${key.slice(0, MAX_KEY - 8)}_${n}`;
      taken.add(own);
    }
    keys.set(name, own);
  }
  return keys;
}

/** A name of letters that are taken, whose parts are no `.`, `..` or empty. */
function plain(name: string): string {
  const parts = name.replace(/[^/\w.\- ]/g, "_").slice(0, MAX_KEY).split("/");
  return parts.map((part) => /^\.{0,2}$/.test(part) ? part.replaceAll(".", "_") || "_" : part).join("/")
    .slice(0, MAX_KEY);
}

/** Splits what is to be sent into requests that are small enough. */
export function* batches({ metrics, params, tags }: Batch): Generator<Batch> {
  let batch: Batch = { metrics: [], params: [], tags: [] };
  let bytes = 0;
  const most = { metrics: MAX_METRICS, params: MAX_PARAMS, tags: MAX_TAGS };
  const kinds = [["params", params], ["tags", tags], ["metrics", metrics]] as const;
  for (const [kind, entities] of kinds) {
    for (const entity of entities) {
      const size = new TextEncoder().encode(JSON.stringify(entity)).length + 1;
      const count = batch.metrics.length + batch.params.length + batch.tags.length;
      if (batch[kind].length === most[kind] || count === MAX_ENTITIES || bytes + size > MAX_BYTES) {
        yield batch;
        batch = { metrics: [], params: [], tags: [] };
        bytes = 0;
      }
      batch[kind].push(entity);
      bytes += size;
    }
  }
  if (bytes > 0) yield batch;
}
