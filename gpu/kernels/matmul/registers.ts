/**
 * What the kernels that hold a tile of C in registers share, whatever way their operands come: the accumulators, the loop
 * over K and the handing over of results. An invocation's tile starts at row `m0` and column `n0`.
 */

import { COMPONENT, type MatmulSpec, type MatmulTile, range } from "./spec.ts";

/**
 * Accumulators `c<row>_<vec4 column>`, and `s<vec4 column>` for the column sums of B.
 *
 * @param column WGSL of the vec4 column of C that the tile's column `j` is
 */
export function accumulators(
  spec: MatmulSpec,
  { tile_m, tile_n }: MatmulTile,
  column = (j: number) => `n0 / 4u + ${j}u`,
): string {
  const columns = range(tile_n / 4);
  const lines = spec.start ? columns.map((j) => `let start${j} = start(${column(j)});`) : [];
  for (const i of range(tile_m)) {
    lines.push(...columns.map((j) => `var c${i}_${j} = ${spec.start ? `start${j}` : "vec4f()"};`));
  }
  if (spec.row_sum_b) lines.push(...columns.map((j) => `var s${j} = vec4f();`));
  return lines.join("\n");
}

/** Loads B for `depth` values of k from `k` on: `b<j>_<kk>`, four along n, or for NT `b<n>_<q>`, four along k. */
export function loadsOfB({ mode }: MatmulSpec, { tile_n }: MatmulTile, depth: number): string[] {
  return mode === "NT"
    ? range(depth / 4).flatMap((q) =>
      range(tile_n).map((n) => `let b${n}_${q} = load_b(n0 + ${n}u, k / 4u + ${q}u);`)
    )
    : range(depth).flatMap((kk) =>
      range(tile_n / 4).map((j) => `let b${j}_${kk} = load_b(k + ${kk}u, n0 / 4u + ${j}u);`)
    );
}

/**
 * Adds the products of a trip to the accumulators, and B's column sums. A block of rows and columns takes all of the
 * trip's k before the next block starts, so that its accumulators stay in registers meanwhile.
 *
 * @param a WGSL of the element of A in row `i` of the tile for value `kk` of the trip
 */
export function products(
  spec: MatmulSpec,
  tile: MatmulTile,
  depth: number,
  a: (i: number, kk: number) => string,
): string[] {
  const rows = tile.block?.[0] ?? tile.tile_m, columns = (tile.block?.[1] ?? tile.tile_n) / 4;
  const b = (j: number, kk: number) =>
    spec.mode === "NT"
      ? `vec4f(${range(4).map((n) => `b${4 * j + n}_${kk >> 2}.${COMPONENT[kk & 3]}`).join(", ")})`
      : `b${j}_${kk}`;
  const lines: string[] = [];
  for (const i0 of range(tile.tile_m, rows)) {
    for (const j0 of range(tile.tile_n / 4, columns)) {
      const blockRows = range(Math.min(rows, tile.tile_m - i0)).map((i) => i0 + i);
      const blockColumns = range(Math.min(columns, tile.tile_n / 4 - j0)).map((j) => j0 + j);
      lines.push("{");
      for (const kk of range(depth)) {
        for (const i of blockRows) lines.push(`let a${i}_${kk} = vec4f(${a(i, kk)});`);
        for (const j of blockColumns) {
          for (const i of blockRows) lines.push(`c${i}_${j} = fma(a${i}_${kk}, ${b(j, kk)}, c${i}_${j});`);
        }
      }
      lines.push("}");
    }
  }
  if (spec.row_sum_b) {
    for (const kk of range(depth)) lines.push(...range(tile.tile_n / 4).map((j) => `s${j} += b${j}_${kk};`));
  }
  return lines;
}

/** The loop over K of this invocation's slice, and what is left where `k_unroll` does not divide K; `trip` adds up `depth` of it. */
export function sumOverK(
  spec: MatmulSpec,
  tile: MatmulTile,
  trip: (spec: MatmulSpec, tile: MatmulTile, depth: number) => string[],
): string {
  const splits = spec.splits ?? 1;
  const { K } = spec, { k_unroll } = tile;
  const whole = K - K % k_unroll;
  const length = Math.ceil(whole / k_unroll / splits) * k_unroll;
  const bounds = splits > 1
    ? `let k_begin = slice * ${length}u;\nlet k_end = min(k_begin + ${length}u, ${whole}u);`
    : `let k_begin = 0u;\nlet k_end = ${whole}u;`;
  const loop = whole === 0
    ? ""
    : `${bounds}\nfor (var k = k_begin; k < k_end; k += ${k_unroll}u) {\n${
      trip(spec, tile, k_unroll).join("\n")
    }\n}`;
  if (whole === K) return loop;
  const rest = `let k = ${whole}u;\n${trip(spec, tile, K - whole).join("\n")}`;
  return `${loop}\n${splits > 1 ? `if (slice == ${splits - 1}u)` : ""} {\n${rest}\n}`;
}

/** Hands the finished tile over, guarded where a size does not divide. */
export function finishTile(
  spec: MatmulSpec,
  { tile_m, tile_n }: MatmulTile,
  raggedRows: boolean,
  raggedColumns: boolean,
): string {
  const sliced = (spec.splits ?? 1) > 1;
  const bound = spec.dynamic_rows ? "view.rows" : `${spec.M}u`;
  const column = (j: number) => !raggedColumns ? [] : [`n0 / 4u + ${j}u < ${spec.N / 4}u`];
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
