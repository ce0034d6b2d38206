/**
 * The tuner's winners, kept in `<runs_dir>/.cache/tuning.json` by adapter and kernel, and the form of a tile in a file. A kernel whose
 * default was best stands there too, so that it is not tuned again.
 */

import { z } from "zod";
import { displayPath, exists, readJson } from "../common/mod.ts";
import { type Choices, siteKey, type TunedKernel, type TuningSite } from "../gpu/mod.ts";
import { adapterKey, cacheFile, type MeasuredAdapter, writeCache } from "./adapter_cache.ts";

/** Where winners are kept. */
export const TUNING_FILE = "tuning.json";

const size = z.int().positive();
const pair = z.tuple([size, size]);

const matmulSchema = z.strictObject({
  form: z.enum(["direct", "broadcast", "shared"]),
  tile_m: size,
  tile_n: size,
  k_unroll: size,
  workgroup: pair,
  block: pair.optional(),
  splits: size.optional(),
});
const attentionTiles = { queries: size, keys: size, workgroup: size, heads: size };
const attentionSchema = z.strictObject(attentionTiles);
const cachedSchema = z.union([
  z.strictObject({ form: z.literal("tile"), ...attentionTiles }),
  z.strictObject({ form: z.literal("split"), keys: size, workgroup: size }),
]);

/** The form of a tile, by the first words of its kernel's key. */
const TILES = { "matmul ": matmulSchema, "attention ": attentionSchema, "cached attention ": cachedSchema };

const choiceSchema = z.union([matmulSchema, attentionSchema, cachedSchema]);

/** Tiles by kernel, as `run.json` holds them. */
export const choicesSchema = z.record(z.string(), choiceSchema).refine(
  (choices) =>
    Object.entries(choices).every(([key, choice]) =>
      Object.entries(TILES).some(([words, schema]) =>
        key.startsWith(words) && schema.safeParse(choice).success
      )
    ),
).transform((choices) => choices as Choices);

const entrySchema = z.object({
  choice: choiceSchema,
  /** Seconds of one run, with the default and with the choice. */
  default_seconds: z.number().positive(),
  seconds: z.number().positive(),
  /** Candidates that were timed, over all times that it was tuned. */
  tried: size,
  /** When it was measured, ISO 8601. */
  time: z.string(),
});

const fileSchema = z.record(z.string(), z.record(z.string(), entrySchema));

/**
 * The tiles that were found for an adapter before. A file that is torn or of another form is none, and `warn` is told.
 */
export async function knownChoices(
  gpu: MeasuredAdapter,
  runsDir: string,
  warn: (line: string) => void,
): Promise<Choices> {
  const entries = (await readTuning(runsDir, warn))[adapterKey(gpu)] ?? {};
  const choices = Object.fromEntries(Object.entries(entries).map(([key, { choice }]) => [key, choice]));
  return choicesSchema.safeParse(choices).data ?? {};
}

/** Keeps what was found. Where no candidate was tried beside the default, what was known stays: the search went on from that. */
export async function keepTuned(gpu: MeasuredAdapter, runsDir: string, found: TunedKernel[]): Promise<void> {
  const file = await readTuning(runsDir, () => {});
  const entries = file[adapterKey(gpu)] ??= {};
  const time = new Date().toISOString();
  for (const { kernel, choice, default_seconds, seconds, tried } of found) {
    const before = entries[kernel]?.tried ?? 0;
    if (before > 0 && tried === 1) continue;
    entries[kernel] = { choice, default_seconds, seconds, tried: before + tried, time } as z.output<
      typeof entrySchema
    >;
  }
  await writeCache(cacheFile(runsDir, TUNING_FILE), file);
}

/** The kernels among some that nothing was found for yet. */
export function unknownSites(sites: TuningSite[], known: Choices): TuningSite[] {
  return sites.filter(({ site }) => known[siteKey(site)] === undefined);
}

async function readTuning(
  runsDir: string,
  warn: (line: string) => void,
): Promise<z.output<typeof fileSchema>> {
  const path = cacheFile(runsDir, TUNING_FILE);
  if (!await exists(path)) return {};
  const { data } = fileSchema.safeParse(await readJson(path).catch(() => undefined));
  if (data === undefined) {
    warn(`warning: ${displayPath(path)} is torn or not ours and is left aside; chatgot tune writes it anew`);
  }
  return data ?? {};
}
