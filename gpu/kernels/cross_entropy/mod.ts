/**
 * The language-model head fused with its loss: logits = x·wteᵀ, mean cross-entropy, and where gradients are wanted dx
 * and dwte, all chunk of rows by chunk of rows, so that the logits of the whole batch never exist at once. (The idea of
 * computing the gradient on the way forward is Liger Kernel's fused linear cross-entropy.)
 */

import { type Axis, logicalLength, type Node, physicalLength, rowsOf, type Tensor } from "../../graph.ts";
import type { Arg, Lowering, View } from "../../lower.ts";
import type { Op } from "../../op.ts";
import { ROW_BUILTINS, rowLanes } from "../lanes.ts";
import { dispatchMatmul, MOST_K } from "../matmul/mod.ts";
import gradientWgsl from "./gradient.wgsl" with { type: "text" };
import softmaxWgsl from "./softmax.wgsl" with { type: "text" };
import sumWgsl from "./sum.wgsl" with { type: "text" };

/** Target id of a row that counts neither in the loss nor in gradients. */
export const IGNORE_TARGET = 0xffffffff;

/** Bytes that the logits of one chunk may take: the head's weights are read anew for each chunk. */
const CHUNK_BYTES = 64 << 20;

/** Chunks have a multiple of so many rows, where there are several: matrix products have tiles of 32 rows. */
const CHUNK_ROWS = 32;

interface HeadAttrs {
  /** Factor on the sum of the rows' losses, 1 / (rows × micro-batches) for a mean. */
  scale: number;
  gradient: boolean;
}

const headLossOp: Op = {
  name: "head_loss",
  backward(node) {
    const [x, wte] = node.inputs as [Tensor, Tensor, Tensor];
    const attrs = node.attrs as HeadAttrs;
    if (attrs.gradient) throw new Error("head_loss: differentiated twice");
    attrs.gradient = true;
    const dx = x.graph.addOutput(node, { rows: x.rows, cols: x.cols, name: "dx" });
    const dwte = x.graph.addOutput(node, { rows: wte.rows, cols: wte.cols, name: "dwte" });
    return [dx, dwte, ...node.inputs.slice(2).map(() => undefined)];
  },
  lower(node, lowering) {
    const [x] = node.inputs as [Tensor];
    const rows = logicalLength(x.rows);
    const rowLoss: Tensor = {
      ...lowering.scratch(node, "row_loss", 1, 4),
      form: "array",
      rows: rowsOf(1),
      cols: rowsOf(rows),
    };
    for (const chunk of chunks(node, lowering)) lowerChunk(node, lowering, chunk, rowLoss);
    const attrs = node.attrs as HeadAttrs;
    lowering.dispatch({
      node,
      label: "loss sum",
      args: [
        { name: "row_loss", tensor: rowLoss, access: "read" },
        { name: "losses", tensor: node.outputs[0]!, access: "write" },
      ],
      constants: { ROWS: rows },
      floats: { SCALE: attrs.scale },
      body: sumWgsl,
      workgroups: [1, 1, 1],
      flops: rows,
    });
  },
};

/** First row and number of rows of each chunk; the last may be shorter. */
function chunks(
  node: Node,
  lowering: Lowering,
): { first: number; rows: number; dlogits?: Tensor; logits: Tensor }[] {
  const [x, wte] = node.inputs as [Tensor, Tensor];
  const rows = logicalLength(x.rows);
  const vocabulary = physicalLength(wte.rows);
  const limit = Math.min(CHUNK_BYTES, lowering.maxBindingBytes);
  const most = Math.max(1, Math.min(rows, MOST_K, Math.floor(limit / (4 * vocabulary))));
  const even = Math.ceil(rows / Math.ceil(rows / most));
  const size = Math.min(most, Math.ceil(even / CHUNK_ROWS) * CHUNK_ROWS);
  const logits = lowering.scratch(node, "logits", size, vocabulary);
  const dlogits = { ...lowering.scratch(node, "dlogits", size, vocabulary), exact: false };
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) => ({
    first: i * size,
    rows: Math.min(size, rows - i * size),
    logits,
    dlogits,
  }));
}

function lowerChunk(
  node: Node,
  lowering: Lowering,
  chunk: { first: number; rows: number; dlogits?: Tensor; logits: Tensor },
  rowLoss: Tensor,
): void {
  const [x, wte, targets, lossScale] = node.inputs as [Tensor, Tensor, Tensor, Tensor | undefined];
  const { gradient, scale } = node.attrs as HeadAttrs;
  const { rows, logits } = chunk;
  const V = physicalLength(wte.rows);
  const C = physicalLength(wte.cols);
  const view: View = { a_row: chunk.first, b_row: chunk.first, c_row: chunk.first, rows };
  const store = (tensor: Tensor, offset?: Arg["rowOffset"]): { text: string; args: Arg[] } => ({
    text: "fn finish(row: u32, col: u32, v: vec4f) { store_c(row, col, v); }",
    args: [{ name: "c", tensor, access: "write", ...(offset === undefined ? {} : { rowOffset: offset }) }],
  });
  dispatchMatmul(lowering, { // logits [R, V] = x [R, C] · wteᵀ [C, V]
    node,
    mode: "NT",
    a: x,
    b: wte,
    M: rows,
    N: V,
    K: C,
    view,
    aOffset: "a_row",
    finish: store(logits),
  });
  const lanes = rowLanes(lowering.profile, rows);
  const gradientText = gradientWgsl.replace(" FACTOR", lossScale === undefined ? "" : " * loss_scale[0]");
  const dlogits = chunk.dlogits!;
  lowering.dispatch({
    node,
    label: "cross entropy",
    args: [
      { name: "logits", tensor: logits, access: "read" },
      { name: "targets", tensor: targets, access: "read" },
      { name: "row_loss", tensor: rowLoss, access: "write" },
      ...(gradient ? [{ name: "dlogits", tensor: dlogits, access: "write" as const }] : []),
      ...(gradient && lossScale !== undefined
        ? [{ name: "loss_scale", tensor: lossScale, access: "read" as const }]
        : []),
    ],
    constants: { V: logicalLength(wte.rows), COLS: V / 4 },
    floats: gradient ? { SCALE: scale } : {},
    body: lanes.declarations +
      softmaxWgsl.replace("GRADIENT", gradient ? gradientText : "").replace(
        "WORKGROUP",
        String(lanes.workgroupSize),
      )
        .replace("BUILTINS", ROW_BUILTINS).replace("PLACE", lanes.place),
    view,
    workgroups: lanes.workgroups,
    flops: rows * V * 10,
  });
  if (!gradient) return;
  const [, dx, dwte] = node.outputs as [Tensor, Tensor, Tensor];
  if (lowering.isWanted(dx)) {
    dispatchMatmul(lowering, { // dx [R, C] = dlogits [R, V] · wte [V, C]
      node,
      mode: "NN",
      a: dlogits,
      b: wte,
      M: rows,
      N: C,
      K: V,
      view,
      finish: store(dx, "c_row"),
    });
  }
  if (!lowering.isWanted(dwte)) return;
  dispatchMatmul(lowering, { // dwte [V, C] += dlogitsᵀ [V, R] · x [R, C]
    node,
    mode: "TN",
    a: dlogits,
    b: x,
    M: V,
    N: C,
    K: rows,
    view,
    bOffset: "b_row",
    finish: store(chunk.first === 0 ? dwte : { ...dwte, accumulate: true }),
  });
}

/**
 * Mean cross-entropy of the head whose weight is tied to `wte`. The result is a ring of losses: a run writes its loss to
 * place `step.slot`.
 *
 * @param scale factor on the summed loss: 1 / rows for the mean
 * @param ring places of the ring
 * @param lossScale array whose first number gradients (not the loss) are multiplied by
 */
export function headLoss( // [M, C], [V, C], [M] -> [ring]
  x: Tensor,
  wte: Tensor,
  targets: Tensor,
  scale: number,
  ring: number,
  lossScale?: Tensor,
): Tensor {
  const attrs: HeadAttrs = { scale, gradient: false };
  const losses: Axis = rowsOf(ring);
  const inputs = lossScale === undefined ? [x, wte, targets] : [x, wte, targets, lossScale];
  return x.graph.node(headLossOp, inputs, attrs, [{
    rows: rowsOf(1),
    cols: losses,
    form: "array",
  }])
    .outputs[0]!;
}
