/**
 * The tile a matmul gets before anything has been tuned: the best measured on llvmpipe, and a usual one for real GPUs.
 */

import type { MatmulMode, MatmulTile } from "./spec.ts";

/** Kind of adapter: llvmpipe by the width of its vectors in bits, or any real GPU. */
export type MatmulProfile = "llvmpipe512" | "llvmpipe256" | "gpu";

/** The default tile for a product of these sizes. */
export function defaultTiles(
  _mode: MatmulMode,
  M: number,
  N: number,
  _K: number,
  profile: MatmulProfile,
): MatmulTile {
  if (profile === "gpu") {
    const large = M * N >= 1 << 20;
    return large
      ? { form: "shared", tile_m: 8, tile_n: 8, k_unroll: 16, workgroup: [16, 16] }
      : { form: "shared", tile_m: 4, tile_n: 4, k_unroll: 16, workgroup: [16, 16] };
  }
  return profile === "llvmpipe512"
    ? { form: "direct", tile_m: 16, tile_n: 8, k_unroll: 4, workgroup: [16, 1] }
    : { form: "direct", tile_m: 8, tile_n: 8, k_unroll: 4, workgroup: [8, 1] };
}
