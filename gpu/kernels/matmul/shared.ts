/**
 * The shared form of the matmul kernel, for real GPUs: a workgroup stages a block of A and a block of B in workgroup
 * memory, k-major, and each invocation multiplies a tile out of them (the blocked scheme of every GPU's BLAS).
 * An invocation's vec4 columns lie `workgroup x` apart, and its groups of 4 rows `workgroup y` apart, so that neighbours
 * read neighbouring words. Operands whose k runs along the row are staged as 4 x 4 blocks, transposed in registers.
 */

import { accumulators } from "./registers.ts";
import { COMPONENT, type MatmulKernel, type MatmulSpec, type MatmulTile, MAX_GRID, range } from "./spec.ts";

/** How one operand is staged. */
interface Staging {
  /** Name of the workgroup variable: `block_a` or `block_b`, vec4 [k_unroll, width / 4]. */
  block: string;
  /** The accessor: `load_a` or `load_b`. */
  load: string;
  /** Whether the operand's rows run along k, so that it is transposed on the way. */
  transposed: boolean;
  /** First row (or column) of C of this workgroup, an expression in vec4s. */
  origin: string;
  /** Rows (or columns) of C of a workgroup. */
  width: number;
}

/** Copies one block of `depth` values of k; with `end`, values of k from there on are stored as zero. */
function stage(s: Staging, depth: number, threads: number, end: number | undefined): string {
  const columns = s.width / 4;
  const items = s.transposed ? columns * (depth / 4) : columns * depth;
  const checked = (value: string, k: string) =>
    end === undefined ? value : `select(vec4f(), ${value}, ${k} < ${end}u)`;
  const body: string[] = [];
  if (s.transposed) {
    body.push(`let q = item % ${depth / 4}u;`, `let column = item / ${depth / 4}u;`);
    body.push(`let row = (${s.origin} + column) * 4u;`);
    for (const i of range(4)) body.push(`let r${i} = ${s.load}(row + ${i}u, k / 4u + q);`);
    for (const e of range(4)) {
      const value = `vec4f(${range(4).map((i) => `r${i}.${COMPONENT[e]}`).join(", ")})`;
      body.push(
        `${s.block}[(4u * q + ${e}u) * ${columns}u + column] = ${checked(value, `k + 4u * q + ${e}u`)};`,
      );
    }
  } else {
    body.push(`let kk = item / ${columns}u;`, `let column = item % ${columns}u;`);
    const value = `${s.load}(k + kk, ${s.origin} + column)`;
    body.push(`${s.block}[item] = ${checked(value, "k + kk")};`);
  }
  const text = body.join("\n");
  return range(Math.ceil(items / threads)).map((round) => {
    const full = (round + 1) * threads <= items;
    return `{\nlet item = lane + ${round * threads}u;\n${
      full ? text : `if (item < ${items}u) {\n${text}\n}`
    }\n}`;
  }).join("\n");
}

/** Multiplies the staged blocks: `k_unroll` rank-one updates of the invocation's tile. */
function multiply(spec: MatmulSpec, tile: MatmulTile): string {
  const { tile_m, tile_n, k_unroll, workgroup: [x, y] } = tile;
  const lines: string[] = [];
  for (const kk of range(k_unroll)) {
    lines.push("{");
    for (const i of range(tile_m / 4)) {
      lines.push(`let a${i} = block_a[${kk * tile_m * y / 4 + i * y}u + thread.y];`);
    }
    for (const j of range(tile_n / 4)) {
      lines.push(`let b${j} = block_b[${kk * tile_n * x / 4 + j * x}u + thread.x];`);
    }
    for (const i of range(tile_m)) {
      for (const j of range(tile_n / 4)) {
        lines.push(`c${i}_${j} = fma(vec4f(a${i >> 2}.${COMPONENT[i & 3]}), b${j}, c${i}_${j});`);
      }
    }
    if (spec.row_sum_b) lines.push(...range(tile_n / 4).map((j) => `s${j} += b${j};`));
    lines.push("}");
  }
  return lines.join("\n");
}

/** The vec4 column of C that column `j` of an invocation's tile is. */
function columnOf({ tile_n, workgroup: [x] }: MatmulTile, j: number): string {
  return `group_n * ${tile_n * x / 4}u + ${j * x}u + thread.x`;
}

/** Hands the finished tile over, always guarded: the cost is nothing beside the sum. */
function finish(spec: MatmulSpec, tile: MatmulTile): string {
  const { tile_m, tile_n, workgroup: [, y] } = tile;
  const sliced = (spec.splits ?? 1) > 1;
  const bound = spec.dynamic_rows ? "view.rows" : `${spec.M}u`;
  const lines: string[] = [];
  for (const j of range(tile_n / 4)) {
    lines.push(
      `{\nlet col = ${columnOf(tile, j)};\nif (col < ${spec.N / 4}u) {`,
    );
    for (const i of range(tile_m)) {
      const row = `group_m * ${tile_m * y}u + (${(i >> 2) * y}u + thread.y) * 4u + ${i & 3}u`;
      const call = sliced ? "finish_split(slice, " : "finish(";
      lines.push(`if (${row} < ${bound}) { ${call}${row}, col, c${i}_${j}); }`);
    }
    if (spec.row_sum_b) {
      const call = sliced ? "finish_bias_split(slice, " : "finish_bias(";
      lines.push(`if (group_m == 0u && thread.y == 0u) { ${call}col, s${j}); }`);
    }
    lines.push("}\n}");
  }
  return lines.join("\n");
}

/** Generates the shared form; `generateMatmul` checks its arguments. */
export function sharedMatmul(spec: MatmulSpec, tile: MatmulTile): MatmulKernel {
  const { mode, M, N, K } = spec, { tile_m, tile_n, k_unroll, workgroup: [x, y] } = tile;
  const splits = spec.splits ?? 1;
  const blockM = tile_m * y, blockN = tile_n * x;
  const groupsN = Math.ceil(N / blockN), groups = Math.ceil(M / blockM) * groupsN;
  const gridX = Math.min(groups, MAX_GRID), gridY = Math.ceil(groups / gridX);
  const length = Math.ceil(K / k_unroll / splits) * k_unroll;
  const end = K % k_unroll === 0 ? undefined : K;
  const a = {
    block: "block_a",
    load: "load_a",
    transposed: mode !== "TN",
    origin: `group_m * ${blockM / 4}u`,
  };
  const b = {
    block: "block_b",
    load: "load_b",
    transposed: mode === "NT",
    origin: `group_n * ${blockN / 4}u`,
  };

  const code = `var<workgroup> block_a: array<vec4f, ${k_unroll * blockM / 4}>; // [${k_unroll}, ${
    blockM / 4
  }]
var<workgroup> block_b: array<vec4f, ${k_unroll * blockN / 4}>; // [${k_unroll}, ${blockN / 4}]
@compute @workgroup_size(${x}, ${y})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) thread: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
let index = group.y * ${gridX}u + group.x;
let group_m = index / ${groupsN}u;
let group_n = index % ${groupsN}u;
let slice = group.z;
${accumulators(spec, tile, (j) => columnOf(tile, j))}
let k_begin = slice * ${length}u;
let k_end = min(k_begin + ${length}u, ${K}u);
for (var k = k_begin; k < k_end; k += ${k_unroll}u) {
${stage({ ...a, width: blockM }, k_unroll, x * y, end)}
${stage({ ...b, width: blockN }, k_unroll, x * y, end)}
workgroupBarrier();
${multiply(spec, tile)}
workgroupBarrier();
}
${finish(spec, tile)}
}
`;
  return { code, grid: { x: gridX, y: gridY, z: splits }, flops: 2 * M * N * K };
}
