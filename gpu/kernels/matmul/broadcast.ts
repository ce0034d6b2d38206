/**
 * The broadcast form of the matmul kernel, for adapters whose subgroup size is known: the lanes of a subgroup share
 * their rows of C and lie side by side along n. An operand A that every lane needs is loaded once by the subgroup, each
 * lane another vec4, and handed round by `subgroupShuffle` with constant lanes, which Mesa's llvmpipe turns into one or
 * two vector instructions where a load takes some ninety. The device must have the feature `subgroups`, and workgroup x
 * must be its subgroup size. Sums run in ascending k.
 */

import { accumulators, finishTile, loadsOfB, products, sumOverK } from "./registers.ts";
import { COMPONENT, type MatmulKernel, type MatmulSpec, type MatmulTile, MAX_GRID, range } from "./spec.ts";

/** One trip: the subgroup's vec4s of A, numbered k-major for TN and row-major else, then B, then the products. */
function trip(spec: MatmulSpec, tile: MatmulTile, depth: number): string[] {
  const { tile_m, workgroup: [lanes] } = tile;
  const perRow = spec.mode === "TN" ? tile_m / 4 : depth / 4; // vec4s of A in a row of the trip's part of it
  const vectors = perRow * (spec.mode === "TN" ? depth : tile_m);
  const loads = range(Math.ceil(vectors / lanes)).map((l) => {
    const row = `(lane + ${l * lanes}u) / ${perRow}u`, column = `(lane + ${l * lanes}u) % ${perRow}u`;
    return spec.mode === "TN"
      ? `let ta${l} = load_a(k + ${row}, m0 / 4u + ${column});`
      : `let ta${l} = load_a(m0 + ${row}, k / 4u + ${column});`;
  });
  const element = (i: number, kk: number) => {
    const vector = spec.mode === "TN" ? kk * perRow + (i >> 2) : i * perRow + (kk >> 2);
    const component = COMPONENT[(spec.mode === "TN" ? i : kk) & 3];
    return `subgroupShuffle(ta${Math.floor(vector / lanes)}.${component}, ${vector % lanes}u)`;
  };
  return [...loads, ...loadsOfB(spec, tile, depth), ...products(spec, tile, depth, element)];
}

/** Generates the broadcast form; `generateMatmul` checks its arguments. */
export function broadcastMatmul(spec: MatmulSpec, tile: MatmulTile): MatmulKernel {
  const { M, N, K } = spec, { tile_m, tile_n, workgroup: [x, y] } = tile;
  const groupsN = Math.ceil(N / (tile_n * x)), groupsM = Math.ceil(M / (tile_m * y));
  const groups = groupsM * groupsN;
  const gridX = Math.min(groups, MAX_GRID), gridY = Math.ceil(groups / gridX);
  // Groups beyond the last have m0 >= M, so that the guard on rows covers them.
  const raggedRows = spec.dynamic_rows === true || M % (tile_m * y) !== 0 || groups !== gridX * gridY;
  const code = `@compute @workgroup_size(${x}, ${y})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
let lane = local.x;
let index = group.y * ${gridX}u + group.x;
let m0 = (index / ${groupsN}u * ${y}u + local.y) * ${tile_m}u;
let n0 = (index % ${groupsN}u * ${x}u + lane) * ${tile_n}u;
let slice = group.z;
${accumulators(spec, tile)}
${sumOverK(spec, tile, trip)}
${finishTile(spec, tile, raggedRows, N % (tile_n * x) !== 0)}
}
`;
  return { code, grid: { x: gridX, y: gridY, z: spec.splits ?? 1 }, flops: 2 * M * N * K };
}
