/**
 * The tile a matmul gets before anything has been tuned. Those for llvmpipe with vectors of 512 bits are measured (2 cores with
 * AVX-512, Mesa 22.3, 2026-11); those for 256 bits and for real GPUs are reasoned, see `GPU_TILES`.
 *
 * What decides on llvmpipe (Mesa 22.3, 2 cores with AVX-512, storage textures, 2026-11): a taller tile spreads the dear
 * loads of B over more rows, until its code no longer fits a core's 32 KiB of instructions (96 x 4 is slower than 48 x 4);
 * but every vec4 of a tile repeats the text of `finish`, and compiling takes time in proportion, so that small products
 * get small tiles. Vectors of 512 bits give 1.4 times the speed of 256, the broadcast form 1.6 times that of the direct.
 */

import type { GpuVendor } from "../../vendor.ts";
import type { MatmulMode, MatmulTile } from "./spec.ts";

/** Kind of adapter: llvmpipe by the width of its vectors in bits, or any real GPU. */
export type MatmulProfile = "llvmpipe512" | "llvmpipe256" | "gpu";

/** Operations from which a product is worth the longer compilation of a taller tile on llvmpipe. */
const LARGE = 2.5e8;

type SharedTile = Omit<MatmulTile, "form" | "block">;

const tile = (tile_m: number, tile_n: number, k_unroll: number, workgroup: [number, number]): SharedTile => ({
  tile_m,
  tile_n,
  k_unroll,
  workgroup,
});

/**
 * Tiles of real GPUs, for products with many elements and with few. All of them are reasoned, none is measured: no card was
 * at hand. All keep to what every WebGPU promises, 16 KiB of workgroup memory and 256 invocations.
 */
const GPU_TILES: Record<GpuVendor, { large: SharedTile; small: SharedTile }> = {
  // 255 registers a lane: 64 sums each, in blocks of 128 × 128 that read each operand 128 times from fast memory.
  nvidia: { large: tile(8, 8, 16, [16, 16]), small: tile(4, 4, 16, [16, 16]) },
  // As many registers at waves of 32 or 64; a small product in more and smaller groups, for many compute units.
  amd: { large: tile(8, 8, 16, [16, 16]), small: tile(4, 4, 16, [16, 8]) },
  // 128 registers of a thread are shared by its 8 to 16 lanes: 32 sums each.
  intel: { large: tile(4, 8, 16, [16, 8]), small: tile(4, 4, 8, [16, 8]) },
  // Lanes with many registers lower how many groups a core holds, and those hide its latency: 32 sums each.
  apple: { large: tile(8, 4, 16, [16, 16]), small: tile(4, 4, 16, [8, 8]) },
  other: { large: tile(8, 8, 16, [16, 16]), small: tile(4, 4, 16, [16, 16]) },
};

/**
 * The default tile for a product of these sizes.
 *
 * @param vendor of a real GPU
 * @param subgroups whether the device has the feature `subgroups`, which llvmpipe's fastest form needs
 */
export function defaultTiles(
  mode: MatmulMode,
  M: number,
  N: number,
  K: number,
  profile: MatmulProfile,
  subgroups = true,
  vendor: GpuVendor = "other",
): MatmulTile {
  if (profile === "gpu") {
    const { large, small } = GPU_TILES[vendor];
    return { form: "shared", ...(M * N >= 1 << 20 ? large : small) };
  }
  const rows = Math.ceil(M / 4) * 4; // no taller than C: generation has one row
  if (!subgroups) {
    const [lanes, tall] = profile === "llvmpipe512" ? [16, 16] : [8, 8];
    const tile_m = Math.min(tall, rows);
    return { form: "direct", tile_m, tile_n: 8, k_unroll: 4, workgroup: [lanes, 1], block: [1, 8] };
  }
  if (profile === "llvmpipe256") {
    const tile_m = Math.min(16, rows);
    return { form: "broadcast", tile_m, tile_n: 8, k_unroll: 4, workgroup: [8, 1], block: [2, 4] };
  }
  const large = 2 * M * N * K >= LARGE;
  const [tall, k_unroll, block] = mode === "TN"
    ? (large ? [64, 2, 4] : [32, 2, 2]) // two values of k: shorter code, and A's part of a trip is still whole vectors
    : mode === "NT" || large // NT reads B across its rows, which a taller tile makes up for
    ? [32, 4, 2]
    : [16, 4, 2];
  const tile_m = Math.min(tall, rows);
  return { form: "broadcast", tile_m, tile_n: 4, k_unroll, workgroup: [16, 1], block: [block, 4] };
}
