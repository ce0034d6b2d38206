/**
 * Matrix products and the linear layer: forward, gradient of the input, gradient of weight and bias.
 *
 * Weights stand [in, out] as in GPT-2's Conv1D. The gradient of the bias is summed inside the kernel of the weight's
 * gradient. Where one product has too few tiles to fill a GPU, K is cut into slices that are added in a fixed order.
 */

import { logicalLength, type Node, physicalLength, rowsOf, type Tensor } from "../../graph.ts";
import type { Arg, Lowering, View } from "../../lower.ts";
import type { Op } from "../../op.ts";
import { matrixGrid, matrixPlace } from "../grid.ts";
import { defaultTiles } from "./defaults.ts";
import { generateMatmul } from "./generate.ts";
import type { MatmulMode, MatmulTile } from "./spec.ts";
import type { Chosen, MatmulSite } from "../../tuning/choices.ts";

export { defaultTiles, generateMatmul };
export type { MatmulMode, MatmulTile };

/** One product of a lowering. */
export interface MatmulCall {
  node: Node;
  mode: MatmulMode;
  a: Tensor;
  b: Tensor;
  /** Physical sizes. */
  M: number;
  N: number;
  K: number;
  /** WGSL of `finish` and the arguments that it and the accessors need beside a and b. */
  finish: { text: string; args: Arg[] };
  /** For products over a chunk of rows. */
  view?: View;
  aOffset?: Arg["rowOffset"];
  bOffset?: Arg["rowOffset"];
  biasGradient?: boolean;
  /** WGSL of `start(col)`, what the sums begin with, such as a bias. */
  start?: string;
  /** The tile, where the caller has asked for it already; then its slices of K are handed to `finish_split`. */
  chosen?: Chosen<MatmulSite>;
}

/** The tile of a product: what was chosen for its shape, or the default. Only products that `canSplit` have slices of K. */
function chooseTile(
  lowering: Lowering,
  { mode, a, b, M, N, K, bias }: Pick<MatmulCall, "mode" | "a" | "b" | "M" | "N" | "K"> & { bias: boolean },
  canSplit: boolean,
): Chosen<MatmulSite> {
  const { profile, hasSubgroups, vendor } = lowering;
  const half = lowering.isHalf(a) || lowering.isHalf(b);
  return lowering.choose({ op: "matmul", mode, M, N, K, bias, half }, () => ({
    ...defaultTiles(mode, M, N, K, profile, hasSubgroups, vendor),
    ...(canSplit ? { splits: defaultSplits(profile, M, N, K) } : {}),
  }));
}

/** Records the kernel of a product with the tile that was chosen for its shape. */
export function dispatchMatmul(lowering: Lowering, call: MatmulCall): void {
  const { mode, M, N, K } = call;
  const start = call.start !== undefined, row_sum_b = call.biasGradient === true;
  const chosen = call.chosen ?? chooseTile(lowering, { ...call, bias: start || row_sum_b }, false);
  const splits = call.chosen?.choice.splits ?? 1;
  const kernel = generateMatmul({ mode, M, N, K, splits, row_sum_b, start }, chosen.choice);
  const offset = (o: Arg["rowOffset"]) => o === undefined ? {} : { rowOffset: o };
  lowering.dispatch({
    node: call.node,
    label: `matmul ${mode}`,
    args: [
      { name: "a", tensor: call.a, access: "read", ...offset(call.aOffset) },
      { name: "b", tensor: call.b, access: "read", ...offset(call.bOffset) },
      ...call.finish.args,
    ],
    body: `${call.start ?? ""}${call.finish.text}\n${kernel.code}`,
    workgroups: [kernel.grid.x, kernel.grid.y, kernel.grid.z],
    flops: kernel.flops,
    chosen,
    ...(call.view === undefined ? {} : { view: call.view }),
  });
}

const linearOp: Op = {
  name: "linear",
  absorbs: true,
  lower(node, lowering) {
    const [x, w, b] = node.inputs as [Tensor, Tensor, Tensor];
    const finish = lowering.finish();
    dispatchMatmul(lowering, {
      node,
      mode: "NN",
      a: x,
      b: w,
      M: logicalLength(x.rows),
      N: physicalLength(w.cols),
      K: physicalLength(w.rows),
      start: "fn start(col: u32) -> vec4f { return load_bias(0u, col); }\n",
      finish: { text: finish.text, args: [{ name: "bias", tensor: b, access: "read" }, ...finish.args] },
    });
  },
  backward(node, [dy]) {
    const [x, w, b] = node.inputs as [Tensor, Tensor, Tensor];
    const graph = x.graph;
    // First what reads x, which may be dead then and lend its memory to dx.
    const [dw, db] = graph.node(weightGradientOp, [x, dy!], {}, [
      { rows: w.rows, cols: w.cols, name: "weight" },
      { rows: b.rows, cols: b.cols, name: "bias" },
    ]).outputs as [Tensor, Tensor];
    const dx = graph.node(inputGradientOp, [dy!, w], {}, [{ rows: x.rows, cols: x.cols }]).outputs[0]!;
    return [dx, dw, db];
  },
};

/** x·w + b. */
export function linear(x: Tensor, w: Tensor, b: Tensor): Tensor { // [M, K] · [K, N] + [1, N] -> [M, N]
  return x.graph.node(linearOp, [x, w, b], {}, [{ rows: x.rows, cols: w.cols }]).outputs[0]!;
}

const matmulOp: Op = {
  name: "matmul",
  absorbs: true,
  lower(node, lowering) {
    const [a, b] = node.inputs as [Tensor, Tensor];
    dispatchMatmul(lowering, {
      node,
      mode: "NN",
      a,
      b,
      M: logicalLength(a.rows),
      N: physicalLength(b.cols),
      K: physicalLength(b.rows),
      finish: lowering.finish(),
    });
  },
  backward(node, [dy]) {
    const [a, b] = node.inputs as [Tensor, Tensor];
    const dw = weightGradient(a, dy!); // first, as in `linear`
    return [matmulTransposed(dy!, b), dw];
  },
};

/** a·b, of activations and a parameter. */
export function matmul(a: Tensor, b: Tensor): Tensor { // [M, K] · [K, N] -> [M, N]
  return a.graph.node(matmulOp, [a, b], {}, [{ rows: a.rows, cols: b.cols }]).outputs[0]!;
}

/** dx = dy·wᵀ: [M, N] · [K, N]ᵀ -> [M, K]. Also the head's logits = x·wteᵀ. */
const inputGradientOp: Op = {
  name: "matmul_nt",
  absorbs: true,
  lower(node, lowering) {
    const [a, b] = node.inputs as [Tensor, Tensor];
    dispatchMatmul(lowering, {
      node,
      mode: "NT",
      a,
      b,
      M: logicalLength(a.rows),
      N: physicalLength(b.rows),
      K: physicalLength(b.cols),
      finish: lowering.finish(),
    });
  },
};

/** a·bᵀ, without a gradient rule: logits for generation. */
export function matmulTransposed(a: Tensor, b: Tensor): Tensor { // [M, K] · [N, K]ᵀ -> [M, N]
  return a.graph.node(inputGradientOp, [a, b], {}, [{ rows: a.rows, cols: b.rows }]).outputs[0]!;
}

/** xᵀ·dy, without a gradient rule; column sums of dy are made on the way. */
export function weightGradient(x: Tensor, dy: Tensor): Tensor { // [K, M]ᵀ · [K, N] -> [M, N]
  return x.graph.node(weightGradientOp, [x, dy], {}, [
    { rows: x.cols, cols: dy.cols, name: "weight" },
    { rows: rowsOf(1), cols: dy.cols, name: "bias" },
  ]).outputs[0]!;
}

/** dw = xᵀ·dy and db = column sums of dy. */
const weightGradientOp: Op = {
  name: "weight_gradient",
  lower(node, lowering) {
    const [x, dy] = node.inputs as [Tensor, Tensor];
    const [dw, db] = node.outputs as [Tensor, Tensor];
    const M = physicalLength(x.cols);
    const N = physicalLength(dy.cols);
    const K = logicalLength(x.rows);
    const chosen = chooseTile(lowering, { mode: "TN", a: x, b: dy, M, N, K, bias: true }, true);
    const splits = chosen.choice.splits ?? 1;
    const call = { node, mode: "TN" as const, a: x, b: dy, M, N, K, biasGradient: true, chosen };
    if (splits === 1) {
      const text = `fn finish(row: u32, col: u32, v: vec4f) { store_dw(row, col, v); }
fn finish_bias(col: u32, v: vec4f) { store_db(0u, col, v); }`;
      const args: Arg[] = [{ name: "dw", tensor: dw, access: "write" }, {
        name: "db",
        tensor: db,
        access: "write",
      }];
      dispatchMatmul(lowering, { ...call, finish: { text, args } });
      return;
    }
    const partial = lowering.scratch(node, "partial", splits * (M + 1), N); // a slice: M rows of dw, one of db
    const text = `fn finish_split(slice: u32, row: u32, col: u32, v: vec4f) { store_p(slice * ${
      M + 1
    }u + row, col, v); }
fn finish_bias_split(slice: u32, col: u32, v: vec4f) { store_p(slice * ${M + 1}u + ${M}u, col, v); }`;
    dispatchMatmul(lowering, {
      ...call,
      finish: { text, args: [{ name: "p", tensor: partial, access: "write" }] },
    });
    lowering.dispatch({
      node,
      label: "split-K sum",
      args: [
        { name: "p", tensor: partial, access: "read" },
        { name: "dw", tensor: dw, access: "write" },
        { name: "db", tensor: db, access: "write" },
      ],
      body: `@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
${matrixPlace(M + 1, N / 4)}  var sum = load_p(row, col);
  for (var slice = 1u; slice < ${splits}u; slice++) { sum += load_p(slice * ${M + 1}u + row, col); }
  if (row == ${M}u) { store_db(0u, col, sum); } else { store_dw(row, col, sum); }
}
`,
      workgroups: matrixGrid(M + 1, N / 4, 16),
      flops: splits * (M + 1) * N,
      chosen,
    });
  },
};

/** Longest sum of one invocation on a CPU: a trip covers at least 1 of K, and Mesa ends loops after 65535 trips. */
export const MOST_K = 60_000;

/** Slices of K: on a GPU as many as bring some 200 tiles of 64 × 64 to work, each at least 256 long; on a CPU as few as loops allow. */
export function defaultSplits(profile: string, M: number, N: number, K: number): number {
  if (profile !== "gpu") return Math.ceil(K / MOST_K);
  const tiles = Math.ceil(M / 64) * Math.ceil(N / 64);
  return Math.max(1, Math.min(Math.floor(200 / tiles), Math.floor(K / 256), 16));
}

/** One row of every sequence: row `step.last` of each group of `rowsPerSequence` rows. */
export function lastRow(x: Tensor, sequences: number): Tensor { // [B·N, C] -> [B, C]
  const attrs = { rowsPerSequence: logicalLength(x.rows) / sequences };
  return x.graph.node(lastRowOp, [x], attrs, [{ rows: rowsOf(sequences), cols: x.cols }]).outputs[0]!;
}

const lastRowOp: Op = {
  name: "last_row",
  lower(node, lowering) {
    const [x] = node.inputs as [Tensor];
    const [y] = node.outputs as [Tensor];
    const rows = logicalLength(y.rows);
    const cols = lowering.cols4(x);
    lowering.dispatch({
      node,
      label: "last row",
      args: [{ name: "x", tensor: x, access: "read" }, { name: "y", tensor: y, access: "write" }],
      body: `@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
${matrixPlace(rows, cols)}  store_y(row, col, load_x(row * ${node.attrs.rowsPerSequence}u + step.last, col));
}
`,
      workgroups: matrixGrid(rows, cols, 16),
      flops: 0,
    });
  },
};
