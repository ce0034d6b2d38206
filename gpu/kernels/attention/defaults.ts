/**
 * Tiles that attention uses before anything is tuned. Those for llvmpipe come from measurements on a 2-core AVX-512
 * machine (T = 64 with heads of 32, T = 256 and 1024 with heads of 64), weighed against the time LLVM takes to compile
 * them; those for GPUs are reasoned from registers only, and the same for all makers.
 */

import { vectorLanes } from "../lanes.ts";
import { type CachedChoice, type CachedShape } from "./generate_cached.ts";
import { type AttentionShape, type AttentionTiles, headColumns } from "./generate_text.ts";
import { keyHeads } from "./pattern.ts";

/** Kernels that differ in what they keep in registers: forward, backward over queries (dQ), over keys (dK, dV). */
export type AttentionKind = "forward" | "queries" | "keys";

/** Families of adapters; the number is llvmpipe's vector width in bits. */
export type AttentionProfile = "llvmpipe512" | "llvmpipe256" | "gpu";

const atLeast1 = (n: number, most: number) => Math.max(1, Math.min(most, Math.floor(n)));

/**
 * Tiles of one kernel for one shape.
 *
 * @example
 * ```ts
 * import { defaultTiles } from "./defaults.ts";
 *
 * const tiles = defaultTiles("forward", { B: 12, T: 64, H: 4, hd: 32 }, "llvmpipe512");
 * console.assert(tiles.queries === 4 && tiles.workgroup === 16);
 * ```
 */
export function defaultTiles(
  kind: AttentionKind,
  shape: AttentionShape,
  profile: AttentionProfile,
): AttentionTiles {
  const D = headColumns(shape.hd);
  if (profile === "gpu") {
    return kind === "keys"
      ? { queries: 1, keys: 1, workgroup: 64, heads: 1 }
      : { queries: 1, keys: 4, workgroup: 64, heads: 1 };
  }
  const H = kind === "keys" ? keyHeads(shape) : shape.H;
  const lanes = vectorLanes(profile);
  // Rows that an invocation owns: more share a load, but text, and with it compile time, grows with rows × columns.
  const { queries, keys } = shape.sparse !== undefined ? { queries: 1, keys: 1 } : {
    forward: { queries: atLeast1((shape.T < 512 ? 48 : 64) / D, 4), keys: 2 },
    queries: { queries: atLeast1(32 / D, 4), keys: 1 },
    keys: { queries: 1, keys: atLeast1(32 / D, 2) },
  }[kind];
  const owned = Math.min(shape.T, kind === "keys" ? keys : queries);
  return {
    queries: Math.min(shape.T, queries),
    keys: Math.min(shape.T, keys),
    workgroup: lanes,
    heads: headsSideBySide({ ...shape, H }, Math.ceil(shape.T / owned), lanes),
  };
}

/**
 * A vector runs as long as its longest lane. Blocks of one head side by side read the same rows but end at different
 * times; this takes just so many heads side by side that the blocks in a vector are few among all blocks.
 */
function headsSideBySide({ B, H }: AttentionShape, blocks: number, lanes: number): number {
  const rows = B * H;
  let wanted = 1;
  while (wanted < lanes && lanes / wanted > blocks / 12) wanted *= 2;
  for (let heads = wanted; heads <= rows; heads++) if (rows % heads === 0) return heads;
  return rows;
}

const sharedBytes = 16384; // WebGPU's guaranteed workgroup memory

/** Form and tiles of attention over a cache: keys split over a workgroup for a few new tokens, tiles for a prompt. */
export function defaultCached(shape: CachedShape, profile: AttentionProfile): CachedChoice {
  const { B, N, H, hd, sparse } = shape;
  if (N > 4) return { form: "tile", ...defaultTiles("forward", { B, T: N, H, hd, sparse }, profile) };
  let workgroup = profile === "gpu" ? 64 : 32;
  while ((workgroup / 2) * (headColumns(hd) * 16 + 8) > sharedBytes) workgroup /= 2;
  return { form: "split", keys: 1, workgroup };
}
