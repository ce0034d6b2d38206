/** `run.json`: what a run is and how it stands. The only file of a run that is rewritten; always whole. */

import * as path from "path";
import { z } from "zod";
import { displayPath, fileError, readJson, UserError, validate } from "../../common/mod.ts";
import { MetricsSummary } from "./metric_summary.ts";

/** The `format_version` that this version writes, and the newest that it knows. */
export const RUN_FORMAT_VERSION = 2;

/** How a run stands: `created` before training begins. A run that was killed says `running` until it is resumed. */
export const RUN_STATUSES = ["created", "running", "completed", "failed", "interrupted"] as const;

const text = (description: string) => z.string().describe(description);
const texts = (description: string) => z.array(z.string()).describe(description);
const numberOrNull = (description: string) => z.number().nullable().describe(description);

/** The form of `run.json` as it is written now. Keys that a later version adds are kept. */
export const runRecordSchema = z.looseObject({
  format_version: z.literal(RUN_FORMAT_VERSION),
  id: text("the folder's name when the run was made"),
  name: text("the user's name for the run; the configuration's when none was given"),
  config_name: text("name of the configuration"),
  tags: texts("the user's labels").default([]),
  notes: text("the user's words").default(""),
  parents: texts("ids of the runs that this one belongs to or came from, such as the search of a trial"),
  archived: z.boolean().describe("whether lists leave the run out").default(false),
  status: z.enum(RUN_STATUSES).describe("how the run stands; one that was killed still says running"),
  created: text("when the folder was made: ISO 8601, UTC"),
  ended: z.string().nullable().describe("when the run ended; null while it goes on"),
  seed: numberOrNull("seed of weights, batches and dropout"),
  adapter: z.string().nullable().describe(
    "name of the GPU adapter; null before training began or without one",
  ),
  adapter_info: z.looseObject({
    vendor: z.string(),
    architecture: z.string(),
    driver: z.string().nullable().describe("version of the driver; null where it cannot be told"),
    features: z.array(z.string()).describe("WebGPU features that were granted"),
  }).nullable().describe("what else is known of the adapter").default(null),
  kernel_choices: z.record(z.string(), z.unknown()).describe(
    "what was chosen for kernels; resuming uses the same",
  ),
  parameters: numberOrNull("the model's parameters").default(null),
  flops_per_token: numberOrNull("floating-point operations of training for each token").default(null),
  command_line: texts("the program and its arguments"),
  config: z.record(z.string(), z.unknown()).describe("what config.yaml says").default({}),
  config_digest: z.string().nullable().describe("SHA-256 of config.yaml, in hexadecimal").default(null),
  git_commit: z.string().nullable().describe(
    "commit of the work tree that the program stands in; null without git",
  ),
  git_dirty: z.boolean().nullable().describe("whether that tree had changes; null where git cannot be asked")
    .default(null),
  versions: z.record(z.string(), z.string()).describe(
    "of ChatGoT, Deno, V8, TypeScript and the operating system",
  ),
  host: z.string().nullable().describe("the machine's name, where it may be asked"),
  pid: z.number().describe("the process that wrote last"),
  resumed: z.array(z.object({ step: z.number(), time: z.string() }))
    .describe("each time the run went on: from which step, when"),
  summary: z.record(z.string(), z.unknown()).describe(
    "what the trainer says at the end, such as the best loss",
  ),
  metrics_summary: MetricsSummary.optional()
    .describe(
      "every metric's last, least and largest value; written at the end, and true while metrics.jsonl has `bytes`",
    ),
});

/** The content of `run.json`. */
export type RunRecord = z.output<typeof runRecordSchema>;

/** Reads a run's `run.json`, of this format or an older one. Throws `UserError` if it is missing or of another form. */
export async function readRun(dir: string): Promise<RunRecord> {
  const file = path.join(dir, "run.json");
  return parseRun(await readJson(file), displayPath(file));
}

/**
 * The record that a `run.json` of this format or an older one holds. Throws `UserError` for a newer one, or another form.
 *
 * @param file the name that an error gives
 */
export function parseRun(value: unknown, file: string): RunRecord {
  const version = (value as { format_version?: unknown } | null)?.format_version;
  if (typeof version === "number" && version > RUN_FORMAT_VERSION) {
    throw new UserError(
      `format_version ${version} is newer than ${RUN_FORMAT_VERSION}, which this version knows`,
      {
        file,
        hint: "take a newer ChatGoT for this run",
      },
    );
  }
  return validate(runRecordSchema, version === 1 ? fromFormat1(value as Record<string, unknown>) : value, {
    file,
  });
}

/** Format 1 had `parent`, an id or null, where there is a list of `parents` now. */
function fromFormat1({ parent, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return { ...rest, format_version: RUN_FORMAT_VERSION, parents: parent == null ? [] : [parent] };
}

/**
 * Replaces a run's `run.json` at once and without waiting, so that the last word of a run is on the disk before its
 * process ends. Throws `UserError`, among others when the disk is full; the old file is whole then.
 */
export function writeRunSync(dir: string, record: RunRecord): void {
  const file = path.join(dir, "run.json");
  const temporary = path.join(dir, `.run.json.${crypto.randomUUID().slice(0, 8)}.tmp`);
  try {
    {
      using out = Deno.openSync(temporary, { write: true, createNew: true });
      const bytes = new TextEncoder().encode(JSON.stringify(record, null, 2) + "\n");
      for (let done = 0; done < bytes.length;) done += out.writeSync(bytes.subarray(done));
      out.syncSync();
    }
    Deno.renameSync(temporary, file);
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch { /* it was never made */ }
    throw fileError(error, file, "write");
  }
}

/**
 * Changes a run's `run.json`: reads it, lets `change` say what is new, and replaces it, while no other process does the
 * same. Throws `UserError` if it cannot be read or written.
 */
export function updateRunSync(dir: string, change: (record: RunRecord) => Partial<RunRecord>): void {
  const file = path.join(dir, "run.json");
  using _turn = takeTurn(dir);
  let record: RunRecord;
  try {
    record = parseRun(JSON.parse(Deno.readTextFileSync(file)), displayPath(file));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw fileError(error, file);
    throw new UserError("is not valid JSON", { file: displayPath(file), hint: "restore it", cause: error });
  }
  writeRunSync(dir, { ...record, ...change(record) });
}

/** The longest that a change waits for another; then that one is thought to hang. */
const TURN_MS = 1000;

/** Holds the lock of those who change `run.json`. */
function takeTurn(dir: string): Disposable {
  let lock: Deno.FsFile | undefined;
  try {
    lock = Deno.openSync(path.join(dir, ".run.json.lock"), { write: true, create: true });
    for (let waited = 0; waited < TURN_MS && !lock.tryLockSync(true); waited += 5) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  } catch { /* without a lock, as on a file system that has none, the later change wins */ }
  return { [Symbol.dispose]: () => lock?.close() };
}
