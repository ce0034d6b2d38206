/**
 * The nearest orthogonal matrix, roughly, by Newton-Schulz's iteration in the form of Muon (Jordan et al. 2024, "Muon: An
 * optimizer for hidden layers in neural networks", kellerjordan.github.io/posts/muon):
 *
 *     X = U / (‖U‖ + 1e-7);  five times  A = X·Xᵀ,  B = b·A + c·A·A,  X = a·X + B·X
 *
 * with a = 3.4445, b = -4.7750, c = 2.0315. It brings all singular values near 1 (to 0.7 … 1.2) and leaves the singular
 * vectors as they are. The matrix lies wide, so that A is the smaller of the two squares. It is a graph of the engine's
 * own products, in float32.
 */

import { axis, Graph, type Tensor } from "../graph.ts";
import { matrixGrid, matrixPlace } from "../kernels/grid.ts";
import { matmul, matmulTransposed } from "../kernels/matmul/mod.ts";
import { floatLiteral } from "../lower.ts";
import type { Op } from "../op.ts";

/** Coefficients of the iteration. */
const [A, B, C] = [3.4445, -4.775, 2.0315];

/** How often it is applied. */
const ITERATIONS = 5;

/**
 * The graph for matrices of one shape. Inputs: `update` [rows, cols] row after row, `inverse` [1]: what it is multiplied with
 * to have the norm 1. Output: `orthogonal` [rows, cols].
 *
 * @param rows at most `cols`; both multiples of 4
 */
export function orthogonalizeGraph(rows: number, cols: number): Graph {
  const graph = new Graph();
  const update = graph.input("update", rows * cols, "f32");
  const inverse = graph.input("inverse", 1, "f32");
  const shape = [{ rows: axis(rows), cols: axis(cols) }];
  let x = graph.node(scaledOp, [update, inverse], {}, shape).outputs[0]!; // [rows, cols]
  for (let i = 0; i < ITERATIONS; i++) {
    const a = matmulTransposed(x, x); //       [rows, rows]
    const b = sum(C, matmul(a, a), B, a); //   [rows, rows]
    x = sum(1, matmul(b, x), A, x); //         [rows, cols]
  }
  graph.output("orthogonal", x);
  return graph;
}

/** The input as a matrix, scaled. */
const scaledOp: Op = {
  name: "scaled",
  lower(node, lowering) {
    const [x, inverse] = node.inputs as [Tensor, Tensor];
    const [y] = node.outputs as [Tensor];
    const rows = y.rows.size;
    const cols = lowering.cols4(y);
    lowering.dispatch({
      node,
      label: "muon scale",
      args: [
        { name: "x", tensor: x, access: "read" },
        { name: "inverse", tensor: inverse, access: "read" },
        { name: "y", tensor: y, access: "write" },
      ],
      body: `@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
${matrixPlace(rows, cols)}  let i = 4u * (row * ${cols}u + col);
  store_y(row, col, inverse[0] * vec4f(x[i], x[i + 1u], x[i + 2u], x[i + 3u]));
}
`,
      workgroups: matrixGrid(rows, cols, 16),
      flops: rows * cols * 4,
    });
  },
};

/** p·x + q·y, computed within the kernel that makes x. */
function sum(p: number, x: Tensor, q: number, y: Tensor): Tensor { // [M, N], [M, N] -> [M, N]
  return x.graph.node(sumOp, [x, y], { p, q }, [{ rows: x.rows, cols: x.cols }]).outputs[0]!;
}

const sumOp: Op = {
  name: "weighted_sum",
  expression: ({ attrs: { p, q } }, [x, y]) => `${floatLiteral(p)} * ${x} + ${floatLiteral(q)} * ${y}`,
};
