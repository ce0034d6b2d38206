/**
 * Weights in the order in which decoding reads them. A token multiplies each weight once, so that the rate is that of
 * reading them, and on a software adapter memory is read fastest in one run (rows apart by a page: 23 GB/s, in a run: 37).
 * A panel is as many columns as a subgroup takes, four a lane; it holds its rows one after the other, and panels
 * follow each other. With f16 a texel holds two rows, each number as half a float.
 *
 * The matrix is a state, [vectors / 64, 64 · lanes] vec4s, where a vector is one vec4 for each lane of a subgroup.
 */

import { axis, type Graph, type Node, physicalLength, rowsOf, type Tensor } from "../../graph.ts";
import type { Lowering } from "../../lower.ts";
import type { Op } from "../../op.ts";
import { matrixGrid, matrixPlace } from "../grid.ts";

/** How packed weights stand in memory. */
export type WeightPrecision = "f32" | "f16";

/** A packed weight and what it was before. */
export interface PackedWeight {
  matrix: Tensor;
  /** Columns and rows of the product: physical, before the panel's own padding. */
  N: number;
  K: number;
  cols: Tensor["cols"];
  precision: WeightPrecision;
  lanes: number;
}

/** Vectors a row of the packed matrix. */
const ROW_VECTORS = 64;

/** K with the padding of whole subgroups of vec4s. */
export function paddedK(K: number, lanes: number): number {
  return Math.ceil(K / (4 * lanes)) * 4 * lanes;
}

/** Vectors of a panel. */
export function panelVectors({ K, lanes, precision }: PackedWeight): number {
  return paddedK(K, lanes) / (precision === "f16" ? 2 : 1);
}

/** Panels of a packed weight. */
export function panelCount({ N, lanes }: PackedWeight): number {
  return Math.ceil(N / (4 * lanes));
}

/**
 * The state that holds a weight packed.
 *
 * @param weight [K, N], or with `transposed` [N, K], such as the token embedding as head
 * @param lanes of a subgroup
 */
export function packedWeight(
  graph: Graph,
  weight: Tensor,
  options: { transposed?: boolean; precision: WeightPrecision; lanes: number },
): PackedWeight {
  const { transposed = false, precision, lanes } = options;
  const [rows, cols] = transposed ? [weight.cols, weight.rows] : [weight.rows, weight.cols];
  const shape = { N: physicalLength(cols), K: physicalLength(rows), cols, precision, lanes };
  const vectors = panelCount({ ...shape, matrix: weight }) * panelVectors({ ...shape, matrix: weight });
  const matrix = graph.state(
    `${weight.name}.packed`,
    rowsOf(Math.ceil(vectors / ROW_VECTORS)),
    axis(4 * lanes * ROW_VECTORS),
  );
  return { ...shape, matrix };
}

/** WGSL of a lane's vec4 of vector `index` of the packed matrix `name`. */
export function loadVector(name: string, index: string, lanes: number): string {
  return `load_${name}((${index}) / ${ROW_VECTORS}u, (${index}) % ${ROW_VECTORS}u * ${lanes}u + lane)`;
}

const packOp: Op = {
  name: "pack",
  lower(node: Node, lowering: Lowering) {
    const [weight, matrix] = node.inputs as [Tensor, Tensor];
    const { packed, transposed } = node.attrs as { packed: PackedWeight; transposed: boolean };
    const { N, K, lanes, precision } = packed;
    const rows = physicalLength(matrix.rows), cols = ROW_VECTORS * lanes;
    const value = transposed
      ? "vec4f(number(n, k), number(n + 1u, k), number(n + 2u, k), number(n + 3u, k))"
      : "load_weight(k, n / 4u)";
    const half = `fn halves(n: u32, k: u32) -> vec2u {
  let v = four(n, k);
  return vec2u(pack2x16float(v.xy), pack2x16float(v.zw));
}
`;
    lowering.dispatch({
      node,
      label: "pack weights",
      args: [{ name: "weight", tensor: weight, access: "read" }, {
        name: "matrix",
        tensor: matrix,
        access: "write",
      }],
      body: `${
        transposed ? "fn number(n: u32, k: u32) -> f32 { return load_weight(n, k / 4u)[k % 4u]; }" : ""
      }
fn four(n: u32, k: u32) -> vec4f { // W[k, n .. n + 3], 0 beyond its edges
  if (n >= ${N}u || k >= ${K}u) { return vec4f(0.0); }
  return ${value};
}
${precision === "f16" ? half : ""}
@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
${matrixPlace(rows, cols)}  let index = row * ${ROW_VECTORS}u + col / ${lanes}u;
  let n = (index / ${panelVectors(packed)}u * ${lanes}u + col % ${lanes}u) * 4u;
  let k = index % ${panelVectors(packed)}u${precision === "f16" ? " * 2u" : ""};
  store_matrix(row, col, ${
        precision === "f16" ? "bitcast<vec4f>(vec4u(halves(n, k), halves(n, k + 1u)))" : "four(n, k)"
      });
}
`,
      workgroups: matrixGrid(rows, cols, 16),
      flops: 0,
    });
  },
};

/** Adds the node that packs a weight; its graph is run once after the weights were written. */
export function packWeight(
  graph: Graph,
  weight: Tensor,
  options: { transposed?: boolean; precision: WeightPrecision; lanes: number },
): PackedWeight {
  const packed = packedWeight(graph, weight, options);
  const attrs = { packed, transposed: options.transposed ?? false, effect: true };
  graph.node(packOp, [weight, packed.matrix], attrs, []);
  return packed;
}
