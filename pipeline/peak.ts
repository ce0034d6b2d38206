/**
 * The fastest that this adapter multiplies matrices, as this engine measures it: what a training's speed is held against.
 * It is measured once and kept in `<runs_dir>/.cache/peak.json`, where only a faster product replaces it; no table of cards
 * is asked. Model FLOPs utilization is the
 * work that the model asks for (`models/flops.ts`) in a second, over the peak.
 */

import { z } from "zod";
import { readJson } from "../common/mod.ts";
import { benchmarkMatmul, type Gpu, type MatmulShape } from "../gpu/mod.ts";
import { adapterKey, cacheFile, type MeasuredAdapter, writeCache } from "./adapter_cache.ts";

/** A wide layer of a small GPT, and a square that is large enough for any card. */
const SIZES = [{ M: 2048, N: 1536, K: 384 }, { M: 2048, N: 2048, K: 2048 }];

/** Where peaks are kept. */
const FILE = "peak.json";

/** Seconds that each product is measured for. */
const SECONDS = 0.5;

const peakSchema = z.object({
  /** 10⁹ floating-point operations a second of the fastest product. */
  gflops: z.number().positive(),
  /** When it was measured, ISO 8601. */
  time: z.string(),
});

/** The file: peaks by what they depend on. */
const cacheSchema = z.record(z.string(), peakSchema);

/**
 * The adapter's peak, as it was measured before.
 *
 * @returns 10⁹ floating-point operations a second; undefined where it was not measured, or not by this ChatGoT and Deno
 */
export async function knownPeak(gpu: MeasuredAdapter, runsDir: string): Promise<number | undefined> {
  return (await readCache(runsDir))[adapterKey(gpu)]?.gflops;
}

/**
 * The adapter's peak; measured, in some ten seconds, where it is not known.
 *
 * @param measure what tests replace
 */
export async function findPeak(
  gpu: Gpu,
  runsDir: string,
  measure: (gpu: Gpu) => Promise<number> = measurePeak,
): Promise<number> {
  return await knownPeak(gpu, runsDir) ?? await raisePeak(gpu, runsDir, await measure(gpu));
}

/**
 * Takes in how fast a product was: where that is more than the peak, such as after one that was measured while others worked,
 * it is the peak.
 *
 * @returns the peak
 */
export async function raisePeak(gpu: MeasuredAdapter, runsDir: string, gflops: number): Promise<number> {
  const cache = await readCache(runsDir);
  const known = cache[adapterKey(gpu)]?.gflops;
  if (known !== undefined && known >= gflops) return known;
  cache[adapterKey(gpu)] = { gflops, time: new Date().toISOString() };
  await writeCache(cacheFile(runsDir, FILE), cache);
  return gflops;
}

/**
 * Part of the peak that a training uses.
 *
 * @param flops_per_token work that the model asks for
 * @param peak 10⁹ floating-point operations a second
 *
 * @example
 * ```ts
 * import { utilization } from "./peak.ts";
 * utilization(5e6, 8000, 100); // 0.4: 40 GFLOP/s of 100
 * ```
 */
export function utilization(flops_per_token: number, tokens_per_second: number, peak: number): number {
  return flops_per_token * tokens_per_second / (peak * 1e9);
}

/** The fastest of some products in all three layouts, in 10⁹ operations a second. */
async function measurePeak(gpu: Gpu): Promise<number> {
  let peak = 0;
  for (const size of SIZES) {
    for (const mode of ["NN", "NT", "TN"] as const) {
      const shape: MatmulShape = { mode, ...size };
      peak = Math.max(peak, (await benchmarkMatmul(gpu, shape, SECONDS)).gflops_best);
    }
  }
  return peak;
}

/** A cache that is not there, or not whole, is an empty one. */
async function readCache(runsDir: string): Promise<z.output<typeof cacheSchema>> {
  return cacheSchema.safeParse(await readJson(cacheFile(runsDir, FILE)).catch(() => undefined)).data ?? {};
}
