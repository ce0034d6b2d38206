/** Changing a run from the page: tags, note, archive. What is asked for is checked here; the tracker writes it. */

import { z } from "zod";
import { updateRunSync } from "../tracker/run_record.ts";
import { Refusal } from "./access.ts";
import type { RunChange } from "./api_types.ts";

/** A body longer than this is not read. */
const MAX_BYTES = 1 << 20;

const tag = z.string().trim().min(1).max(200);

const changeSchema = z.strictObject({
  add_tags: z.array(tag).max(100).optional(),
  remove_tags: z.array(z.string()).max(100).optional(),
  notes: z.string().max(100_000).optional(),
  archived: z.boolean().optional(),
});

/** Reads what a request wants changed. Throws `Refusal`: 413 where it is too long, 400 where it makes no sense. */
export async function changeOf(request: Request): Promise<RunChange> {
  const body = await textOf(request);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Refusal(400, "the change is not JSON");
  }
  const { data, error } = changeSchema.safeParse(value);
  if (data !== undefined) return data as RunChange;
  const [issue] = error.issues;
  throw new Refusal(400, `${issue?.path.join(".") || "the change"}: ${issue?.message}`);
}

async function textOf(request: Request): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Refusal(413, "the change is too long");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/**
 * Makes the change in the run's `run.json`; a training that goes on keeps it. Throws `UserError`, among others for a
 * `run.json` of a newer version, which must not be written over.
 */
export function applyChange(
  dir: string,
  { add_tags = [], remove_tags = [], notes, archived }: RunChange,
): void {
  updateRunSync(dir, ({ tags }) => ({
    ...(notes === undefined ? {} : { notes }),
    ...(archived === undefined ? {} : { archived }),
    tags: [...new Set([...tags, ...add_tags])].filter((tag) => !remove_tags.includes(tag)),
  }));
}
