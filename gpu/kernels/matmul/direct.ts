/**
 * The direct form of the matmul kernel: each invocation holds a tile of C in registers and reads operands straight
 * through the accessors. It has no workgroup memory and no barriers, which is what a software adapter runs best:
 * there a vec4 load costs some tens of multiply-adds, so the tile decides the speed. Sums run in ascending k.
 */

import { COMPONENT, type MatmulKernel, type MatmulSpec, type MatmulTile, MAX_GRID, range } from "./spec.ts";

/** Loads of one trip: A and B for `depth` values of k from `k` on. */
function loads({ mode }: MatmulSpec, { tile_m, tile_n }: MatmulTile, depth: number): string {
  const lines: string[] = [];
  if (mode !== "TN") {
    for (const q of range(depth / 4)) { // a<i>_<q>: [tile_m] of 4 along k
      for (const i of range(tile_m)) lines.push(`let a${i}_${q} = load_a(m0 + ${i}u, k / 4u + ${q}u);`);
    }
  } else {
    for (const kk of range(depth)) { // a<q>_<kk>: [tile_m / 4] of 4 along m
      for (const q of range(tile_m / 4)) lines.push(`let a${q}_${kk} = load_a(k + ${kk}u, m0 / 4u + ${q}u);`);
    }
  }
  if (mode === "NT") {
    for (const q of range(depth / 4)) { // b<n>_<q>: [tile_n] of 4 along k
      for (const n of range(tile_n)) lines.push(`let b${n}_${q} = load_b(n0 + ${n}u, k / 4u + ${q}u);`);
    }
  } else {
    for (const kk of range(depth)) { // b<j>_<kk>: [tile_n / 4] of 4 along n
      for (const j of range(tile_n / 4)) lines.push(`let b${j}_${kk} = load_b(k + ${kk}u, n0 / 4u + ${j}u);`);
    }
  }
  return lines.join("\n");
}

/** `c<i>_<j> += a[i, k] * b[k, 4j…4j+3]` for one value of k of the trip. */
function multiplyAdd({ mode }: MatmulSpec, i: number, j: number, kk: number): string {
  const q = kk >> 2, e = COMPONENT[kk & 3];
  const a = mode === "TN" ? `a${i >> 2}_${kk}.${COMPONENT[i & 3]}` : `a${i}_${q}.${e}`;
  const b = mode === "NT"
    ? `vec4f(${[0, 1, 2, 3].map((n) => `b${4 * j + n}_${q}.${e}`).join(", ")})`
    : `b${j}_${kk}`;
  return `c${i}_${j} = fma(vec4f(${a}), ${b}, c${i}_${j});`;
}

/** One trip: `depth` values of k into the whole tile, block by block. */
function trip(spec: MatmulSpec, tile: MatmulTile, depth: number): string {
  const { tile_m, tile_n } = tile;
  const [block_m, block_n] = tile.block ?? [tile_m, tile_n];
  const lines = [loads(spec, tile, depth)];
  for (const i0 of range(tile_m, block_m)) {
    for (const j0 of range(tile_n / 4, block_n / 4)) {
      for (const kk of range(depth)) {
        for (let i = i0; i < Math.min(i0 + block_m, tile_m); i++) {
          for (let j = j0; j < Math.min(j0 + block_n / 4, tile_n / 4); j++) {
            lines.push(multiplyAdd(spec, i, j, kk));
          }
        }
      }
    }
  }
  if (spec.row_sum_b) {
    for (const kk of range(depth)) {
      for (const j of range(tile_n / 4)) lines.push(`s${j} += b${j}_${kk};`);
    }
  }
  return lines.join("\n");
}

/** Hands the finished tile over, guarded where a size does not divide. */
function finish(spec: MatmulSpec, { tile_m, tile_n }: MatmulTile, raggedRows: boolean): string {
  const sliced = (spec.splits ?? 1) > 1;
  const bound = spec.dynamic_rows ? "view.rows" : `${spec.M}u`;
  const column = (j: number) => spec.N % tile_n === 0 ? [] : [`n0 / 4u + ${j}u < ${spec.N / 4}u`];
  const guarded = (guards: string[], line: string) =>
    guards.length > 0 ? `if (${guards.join(" && ")}) { ${line} }` : line;
  const lines: string[] = [];
  for (const i of range(tile_m)) {
    const row = raggedRows ? [`m0 + ${i}u < ${bound}`] : [];
    for (const j of range(tile_n / 4)) {
      const args = `m0 + ${i}u, n0 / 4u + ${j}u, c${i}_${j}`;
      lines.push(
        guarded([...row, ...column(j)], sliced ? `finish_split(slice, ${args});` : `finish(${args});`),
      );
    }
  }
  if (spec.row_sum_b) {
    for (const j of range(tile_n / 4)) {
      const args = `n0 / 4u + ${j}u, s${j}`;
      const line = sliced ? `finish_bias_split(slice, ${args});` : `finish_bias(${args});`;
      lines.push(guarded(["m0 == 0u", ...column(j)], line));
    }
  }
  return lines.join("\n");
}

/** The loop over K of this invocation's slice, and what is left where `k_unroll` does not divide K. */
function sum(spec: MatmulSpec, tile: MatmulTile): string {
  const splits = spec.splits ?? 1;
  const { K } = spec, { k_unroll } = tile;
  const whole = K - K % k_unroll;
  const length = Math.ceil(whole / k_unroll / splits) * k_unroll;
  const bounds = splits > 1
    ? `let k_begin = slice * ${length}u;\nlet k_end = min(k_begin + ${length}u, ${whole}u);`
    : `let k_begin = 0u;\nlet k_end = ${whole}u;`;
  const loop = whole === 0
    ? ""
    : `${bounds}\nfor (var k = k_begin; k < k_end; k += ${k_unroll}u) {\n${trip(spec, tile, k_unroll)}\n}`;
  if (whole === K) return loop;
  const rest = `let k = ${whole}u;\n${trip(spec, tile, K - whole)}`;
  return `${loop}\n${splits > 1 ? `if (slice == ${splits - 1}u)` : ""} {\n${rest}\n}`;
}

/** Generates the direct form; `generateMatmul` checks its arguments. */
export function directMatmul(spec: MatmulSpec, tile: MatmulTile): MatmulKernel {
  const { M, N, K } = spec, { tile_m, tile_n, workgroup: [x, y] } = tile;
  const tilesN = Math.ceil(N / tile_n), tiles = Math.ceil(M / tile_m) * tilesN;
  const groups = Math.ceil(tiles / (x * y));
  const gridX = Math.min(groups, MAX_GRID), gridY = Math.ceil(groups / gridX);
  // Tiles beyond the last have m0 >= M, so that the guard on rows covers them.
  const raggedRows = spec.dynamic_rows === true || M % tile_m !== 0 || tiles !== gridX * gridY * x * y;

  const accumulators = range(tile_m).flatMap((i) =>
    range(tile_n / 4).map((j) => `var c${i}_${j} = vec4f();`)
  );
  if (spec.row_sum_b) accumulators.push(...range(tile_n / 4).map((j) => `var s${j} = vec4f();`));
  const code = `@compute @workgroup_size(${x}, ${y})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
let tile = (group.y * ${gridX}u + group.x) * ${x * y}u + lane;
let m0 = tile / ${tilesN}u * ${tile_m}u;
let n0 = tile % ${tilesN}u * ${tile_n}u;
let slice = group.z;
${accumulators.join("\n")}
${sum(spec, tile)}
${finish(spec, tile, raggedRows)}
}
`;
  return { code, grid: { x: gridX, y: gridY, z: spec.splits ?? 1 }, flops: 2 * M * N * K };
}
