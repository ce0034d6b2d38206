/**
 * Writes the WGSL of one matmul kernel. The text relies on functions that the caller declares:
 *
 * - `load_a(row: u32, col: u32) -> vec4f` and `load_b(…)`: operands as rows of vec4s, `col` counting vec4s. Beyond the
 *   edge they may return anything; with `dynamic_rows` they add the row offset of the view themselves;
 * - `finish(row: u32, col: u32, v: vec4f)`: takes four finished values of C; with `splits` > 1 instead
 *   `finish_split(slice: u32, row: u32, col: u32, v: vec4f)`, whose slices the caller adds up in order;
 * - `finish_bias(col: u32, v: vec4f)` with `row_sum_b`, or `finish_bias_split(slice: u32, col: u32, v: vec4f)`;
 * - `start(col: u32) -> vec4f` with `start`: what the sums of a column begin with;
 * - `view.rows: u32` with `dynamic_rows`.
 */

import { broadcastMatmul } from "./broadcast.ts";
import { directMatmul } from "./direct.ts";
import { sharedMatmul } from "./shared.ts";
import type { MatmulKernel, MatmulSpec, MatmulTile } from "./spec.ts";

/** Loop trips an invocation may make: Mesa's llvmpipe ends all loops of an invocation at 65535 in total, silently. */
const MAX_TRIPS = 65000;

/**
 * Generates the kernel of a matrix product.
 *
 * @throws {Error} when a size or tile breaks a rule of {@link MatmulSpec} or {@link MatmulTile}
 *
 * @example
 * ```ts
 * import { generateMatmul } from "./generate.ts";
 * const { grid } = generateMatmul(
 *   { mode: "NN", M: 768, N: 384, K: 128 },
 *   { form: "direct", tile_m: 16, tile_n: 8, k_unroll: 4, workgroup: [16, 1] },
 * );
 * console.log(grid); // { x: 144, y: 1, z: 1 }
 * ```
 */
export function generateMatmul(spec: MatmulSpec, tile: MatmulTile): MatmulKernel {
  checkMatmul(spec, tile);
  const form = { direct: directMatmul, broadcast: broadcastMatmul, shared: sharedMatmul }[tile.form];
  return form(spec, tile);
}

/**
 * Checks sizes and tile of a product without writing its text.
 *
 * @throws {Error} when a size or tile breaks a rule of {@link MatmulSpec} or {@link MatmulTile}
 */
export function checkMatmul(spec: MatmulSpec, tile: MatmulTile): void {
  const { mode, M, N, K } = spec;
  const demand = (holds: boolean, what: string) => {
    if (!holds) throw new Error(`matmul ${mode} ${M}x${N}x${K}, tile ${JSON.stringify(tile)}: ${what}`);
  };
  const alongK = mode !== "TN";
  demand(M > 0 && N > 0 && K > 0, "sizes must be positive");
  demand(N % 4 === 0, "N must be a multiple of 4");
  demand((alongK ? K : M) % 4 === 0, `${alongK ? "K" : "M"} must be a multiple of 4`);
  demand(tile.tile_n % 4 === 0, "tile_n must be a multiple of 4");
  demand((alongK && tile.form !== "shared") || tile.tile_m % 4 === 0, "tile_m must be a multiple of 4");
  demand((!alongK && tile.form !== "shared") || tile.k_unroll % 4 === 0, "k_unroll must be a multiple of 4");
  demand((tile.block?.[1] ?? 4) % 4 === 0, "block columns must be a multiple of 4");
  demand(!spec.row_sum_b || mode === "TN", "row_sum_b needs mode TN");
  demand(!spec.start || (spec.splits ?? 1) === 1, "start needs splits 1");
  demand(!spec.dynamic_rows || alongK, "dynamic_rows needs mode NN or NT");
  demand(K / tile.k_unroll / (spec.splits ?? 1) < MAX_TRIPS, "too many loop trips: raise k_unroll or splits");
}
