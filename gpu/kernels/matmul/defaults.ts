/**
 * The tile a matmul gets before anything has been tuned: the best measured on llvmpipe, and a usual one for real GPUs.
 *
 * What decides on llvmpipe (Mesa 22.3, 2 cores with AVX-512, storage textures, 2026-11): a taller tile spreads the dear
 * loads of B over more rows, until its code no longer fits a core's 32 KiB of instructions (96 x 4 is slower than 48 x 4);
 * but every vec4 of a tile repeats the text of `finish`, and compiling takes time in proportion, so that small products
 * get small tiles. Vectors of 512 bits give 1.4 times the speed of 256, the broadcast form 1.6 times that of the direct.
 */

import type { MatmulMode, MatmulTile } from "./spec.ts";

/** Kind of adapter: llvmpipe by the width of its vectors in bits, or any real GPU. */
export type MatmulProfile = "llvmpipe512" | "llvmpipe256" | "gpu";

/** Operations from which a product is worth the longer compilation of a taller tile on llvmpipe. */
const LARGE = 2.5e8;

/**
 * The default tile for a product of these sizes.
 *
 * @param subgroups whether the device has the feature `subgroups`, which llvmpipe's fastest form needs
 */
export function defaultTiles(
  mode: MatmulMode,
  M: number,
  N: number,
  K: number,
  profile: MatmulProfile,
  subgroups = true,
): MatmulTile {
  if (profile === "gpu") {
    const side = M * N >= 1 << 20 ? 8 : 4;
    return { form: "shared", tile_m: side, tile_n: side, k_unroll: 16, workgroup: [16, 16] };
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
