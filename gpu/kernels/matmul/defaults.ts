/**
 * The tile a matmul gets before anything has been tuned: the best measured on llvmpipe, and a usual one for real GPUs.
 */

import type { MatmulMode, MatmulTile } from "./spec.ts";

/** Kind of adapter: llvmpipe by the width of its vectors in bits, or any real GPU. */
export type MatmulProfile = "llvmpipe512" | "llvmpipe256" | "gpu";

/**
 * The default tile for a product of these sizes.
 *
 * @param subgroups whether the device has the feature `subgroups`, which llvmpipe's fastest form needs
 */
export function defaultTiles(
  _mode: MatmulMode,
  M: number,
  N: number,
  _K: number,
  profile: MatmulProfile,
  subgroups = true,
): MatmulTile {
  if (profile === "gpu") {
    const side = M * N >= 1 << 20 ? 8 : 4;
    return { form: "shared", tile_m: side, tile_n: side, k_unroll: 16, workgroup: [16, 16] };
  }
  const lanes = profile === "llvmpipe512" ? 16 : 8;
  if (!subgroups) {
    return { form: "direct", tile_m: lanes, tile_n: 8, k_unroll: 4, workgroup: [lanes, 1], block: [1, 8] };
  }
  return { form: "broadcast", tile_m: 32, tile_n: 4, k_unroll: 4, workgroup: [lanes, 1], block: [2, 4] };
}
