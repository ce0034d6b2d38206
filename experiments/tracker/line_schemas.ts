/** The forms of the lines of a run's `.jsonl` files. `docs/formats/schemas/` has them and `run.json` as JSON Schema. */

import { z } from "zod";
import { SYSTEM_FIELDS } from "../monitor/totals.ts";
import { RUN_STATUSES, runRecordSchema } from "./run_record.ts";

const step = z.number().describe("the optimizer step, or a script's own count");
const time = z.iso.datetime().describe("when the line was written: ISO 8601, UTC");

/** A line of `metrics.jsonl`: what was measured at a step. */
export const metricsLineSchema = z.object({
  step,
  time,
  tokens: z.number().optional().describe("tokens trained on so far; runs of scripts may leave it out"),
}).catchall(z.number().nullable().describe("a metric; null for NaN and infinity"));

/** A line of `samples.jsonl`: a text that the model wrote. */
export const sampleLineSchema = z.looseObject({
  step,
  time,
  prompt: z.string().optional().describe("what the text goes on from"),
  text: z.string(),
});

/** A line of `system.jsonl`: the machine at a moment. What is not known is absent; `docs/monitoring.md` explains the fields. */
export const systemLineSchema = z.looseObject({
  step,
  time,
  ...Object.fromEntries(SYSTEM_FIELDS.map((field) => [field, z.number().optional()])),
});

const happened = { step, time };

/** A line of `events.jsonl`: what happened. Other types than these may stand there, with fields of their own. */
export const eventLineSchema = z.union([
  z.looseObject({ type: z.literal("started"), ...happened }),
  z.looseObject({
    type: z.literal("resumed"),
    ...happened,
    discarded: z.record(z.string(), z.number()).describe(
      "lines beyond the step that were set aside, by stream",
    ),
  }),
  z.looseObject({ type: z.literal("checkpoint"), ...happened }),
  z.looseObject({ type: z.literal("not_finite"), ...happened }),
  z.looseObject({
    type: z.literal("ended"),
    ...happened,
    status: z.enum(RUN_STATUSES.filter((status) => status !== "created" && status !== "running")),
  }),
  z.looseObject({
    type: z.string().regex(/^(?!(started|resumed|checkpoint|not_finite|ended)$)/).describe("any other"),
    ...happened,
  }),
]);

const SCHEMAS = {
  run: runRecordSchema,
  metrics: metricsLineSchema,
  samples: sampleLineSchema,
  system: systemLineSchema,
  events: eventLineSchema,
};

/** The forms as JSON Schema (draft 2020-12) by the name of their file: `run`, `metrics`, `samples`, `system`, `events`. */
export function jsonSchemas(): Record<string, Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(SCHEMAS).map(([name, schema]) => [name, z.toJSONSchema(schema, { io: "output" })]),
  );
}
