/** `run.json`: what a run is and how it stands. The only file of a run that is rewritten; always whole. */

import * as path from "path";
import { z } from "zod";
import { displayPath, fileError, readJson, validate } from "../../common/mod.ts";

/** The `format_version` that this version writes, and the newest that it knows. */
export const RUN_FORMAT_VERSION = 1;

/** How a run stands: `created` before training begins. A run that was killed says `running` until it is resumed. */
export const RUN_STATUSES = ["created", "running", "completed", "failed", "interrupted"] as const;

/** The form of `run.json`. Keys that a later version adds are kept. */
export const RunRecord = z.looseObject({
  format_version: z.literal(RUN_FORMAT_VERSION),
  /** The folder's name. */
  id: z.string(),
  name: z.string(),
  config_name: z.string(),
  parent: z.string().nullable(),
  status: z.enum(RUN_STATUSES),
  /** ISO 8601, UTC. */
  created: z.string(),
  ended: z.string().nullable(),
  seed: z.number(),
  /** Null before training began. */
  adapter: z.string().nullable(),
  kernel_choices: z.record(z.string(), z.unknown()),
  /** The model's parameters, and the work for each token that is trained on; null where nobody said. */
  parameters: z.number().nullable().default(null),
  flops_per_token: z.number().nullable().default(null),
  command_line: z.array(z.string()),
  git_commit: z.string().nullable(),
  versions: z.record(z.string(), z.string()),
  /** The machine's name, where it may be asked. */
  host: z.string().nullable(),
  pid: z.number(),
  /** Each time the run went on: from which step, when. */
  resumed: z.array(z.object({ step: z.number(), time: z.string() })),
  /** What the trainer says at the end, such as the best loss. */
  summary: z.record(z.string(), z.unknown()),
});

/** The content of `run.json`. */
export type RunRecord = z.output<typeof RunRecord>;

/** Reads a run's `run.json`. Throws `UserError` if it is missing or of another form. */
export async function readRun(dir: string): Promise<RunRecord> {
  const file = path.join(dir, "run.json");
  return validate(RunRecord, await readJson(file), { file: displayPath(file) });
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
