/**
 * The direct form of the matmul kernel: each invocation holds a tile of C in registers and reads its own operands straight
 * through the accessors, with no workgroup memory and no barriers. On a software adapter, where a vec4 load costs some
 * tens of multiply-adds, the size of the tile decides the speed. Sums run in ascending k.
 */

import { accumulators, finishTile, loadsOfB, products, sumOverK } from "./registers.ts";
import { COMPONENT, type MatmulKernel, type MatmulSpec, type MatmulTile, MAX_GRID, range } from "./spec.ts";

/** One trip: loads all operands of `depth` values of k, then multiplies. */
function trip(spec: MatmulSpec, tile: MatmulTile, depth: number): string[] {
  const { tile_m } = tile;
  if (spec.mode === "TN") { // ta<q>_<kk>: [tile_m / 4] of four along m
    return [
      ...range(depth).flatMap((kk) =>
        range(tile_m / 4).map((q) => `let ta${q}_${kk} = load_a(k + ${kk}u, m0 / 4u + ${q}u);`)
      ),
      ...loadsOfB(spec, tile, depth),
      ...products(spec, tile, depth, (i, kk) => `ta${i >> 2}_${kk}.${COMPONENT[i & 3]}`),
    ];
  }
  return [ // ta<i>_<q>: [tile_m] of four along k
    ...range(depth / 4).flatMap((q) =>
      range(tile_m).map((i) => `let ta${i}_${q} = load_a(m0 + ${i}u, k / 4u + ${q}u);`)
    ),
    ...loadsOfB(spec, tile, depth),
    ...products(spec, tile, depth, (i, kk) => `ta${i}_${kk >> 2}.${COMPONENT[kk & 3]}`),
  ];
}

/** Generates the direct form; `generateMatmul` checks its arguments. */
export function directMatmul(spec: MatmulSpec, tile: MatmulTile): MatmulKernel {
  const { M, N, K } = spec, { tile_m, tile_n, workgroup: [x, y] } = tile;
  const tilesN = Math.ceil(N / tile_n), tiles = Math.ceil(M / tile_m) * tilesN;
  const groups = Math.ceil(tiles / (x * y));
  const gridX = Math.min(groups, MAX_GRID), gridY = Math.ceil(groups / gridX);
  // Tiles beyond the last have m0 >= M, so that the guard on rows covers them.
  const raggedRows = spec.dynamic_rows === true || M % tile_m !== 0 || tiles !== gridX * gridY * x * y;

  const code = `@compute @workgroup_size(${x}, ${y})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
let tile = (group.y * ${gridX}u + group.x) * ${x * y}u + lane;
let m0 = tile / ${tilesN}u * ${tile_m}u;
let n0 = tile % ${tilesN}u * ${tile_n}u;
let slice = group.z;
${accumulators(spec, tile)}
${sumOverK(spec, tile, trip)}
${finishTile(spec, tile, raggedRows, N % tile_n !== 0)}
}
`;
  return { code, grid: { x: gridX, y: gridY, z: spec.splits ?? 1 }, flops: 2 * M * N * K };
}
