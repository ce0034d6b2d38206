/** Token and position embeddings, and their gradients without atomics. */

import { logicalLength, type Node, physicalLength, rowsOf, type Tensor } from "../../graph.ts";
import type { Arg, Lowering } from "../../lower.ts";
import type { Op } from "../../op.ts";
import { matrixGrid, matrixPlace } from "../grid.ts";
import clearWgsl from "./clear.wgsl" with { type: "text" };
import embeddingWgsl from "./embedding.wgsl" with { type: "text" };
import positionsWgsl from "./positions_gradient.wgsl" with { type: "text" };
import tokensWgsl from "./tokens_gradient.wgsl" with { type: "text" };

export { tokenIndex, tokenIndexLength } from "./token_index.ts";

/** The inputs of an embedding's node by name. */
function inputsOf({ inputs, attrs }: Node): { tokens: Tensor; wte: Tensor; wpe?: Tensor; index?: Tensor } {
  const [tokens, wte, ...rest] = inputs as [Tensor, Tensor, ...Tensor[]];
  const [wpe, index] = attrs.hasPositions ? rest : [undefined, ...rest];
  return { tokens, wte, ...(wpe === undefined ? {} : { wpe }), ...(index === undefined ? {} : { index }) };
}

const embeddingOp: Op = {
  name: "embedding",
  absorbs: true,
  lower(node, lowering) {
    const { tokens, wte, wpe } = inputsOf(node);
    const [x] = node.outputs as [Tensor];
    const rows = logicalLength(x.rows);
    const finish = lowering.finish();
    const position = wpe === undefined ? "" : " + load_wpe(step.position + row % T, col)";
    const wgsl = finish.text + embeddingWgsl.replace("POSITION", position);
    gridKernel(lowering, node, "embedding", wgsl, rows, lowering.cols4(x), { T: node.attrs.T }, [
      { name: "tokens", tensor: tokens, access: "read" },
      { name: "wte", tensor: wte, access: "read" },
      ...(wpe === undefined ? [] : [{ name: "wpe", tensor: wpe, access: "read" as const }]),
      ...finish.args,
    ]);
  },
  backward(node, [dx]) {
    const { tokens, wte, wpe, index } = inputsOf(node);
    if (index === undefined) throw new Error("embedding: the gradient needs the token index");
    const graph = wte.graph;
    const dwte = graph.node(tokensGradientOp, [tokens, index, dx!], {}, [{ rows: wte.rows, cols: wte.cols }])
      .outputs[0]!;
    if (wpe === undefined) return [undefined, dwte];
    const dwpe = graph.node(positionsGradientOp, [dx!], { T: node.attrs.T }, [{
      rows: wpe.rows,
      cols: wpe.cols,
    }])
      .outputs[0]!;
    return [undefined, dwte, dwpe];
  },
};

const tokensGradientOp: Op = {
  name: "tokens_gradient",
  lower(node, lowering) {
    const [tokens, index, dx] = node.inputs as [Tensor, Tensor, Tensor];
    const rows = logicalLength(dx.rows);
    const dwte: Arg = { name: "dwte", tensor: node.outputs[0]!, access: "write" };
    if (!dwte.tensor.accumulate) { // only rows of tokens that occur are written below
      gridKernel(
        lowering,
        node,
        "embedding backward clear",
        clearWgsl,
        physicalLength(dwte.tensor.rows),
        lowering.cols4(dx),
        {},
        [dwte],
      );
    }
    gridKernel(lowering, node, "embedding backward tokens", tokensWgsl, rows, lowering.cols4(dx), {
      ROWS: rows,
    }, [
      { name: "tokens", tensor: tokens, access: "read" },
      { name: "index", tensor: index, access: "read" },
      { name: "dx", tensor: dx, access: "read" },
      dwte,
    ]);
  },
};

const positionsGradientOp: Op = {
  name: "positions_gradient",
  lower(node, lowering) {
    const [dx] = node.inputs as [Tensor];
    const dwpe = node.outputs[0]!;
    const { T } = node.attrs;
    const constants = { ROWS: logicalLength(dx.rows), T };
    gridKernel(
      lowering,
      node,
      "embedding backward positions",
      positionsWgsl,
      physicalLength(dwpe.rows),
      lowering.cols4(dx),
      constants,
      [
        { name: "dx", tensor: dx, access: "read" },
        { name: "dwpe", tensor: dwpe, access: "write" },
      ],
    );
  },
};

function gridKernel(
  lowering: Lowering,
  node: Node,
  label: string,
  wgsl: string,
  rows: number,
  cols: number,
  constants: Record<string, number>,
  args: Arg[],
): void {
  lowering.dispatch({
    node,
    label,
    args,
    constants,
    body: wgsl.replace("PLACE", matrixPlace(rows, cols)),
    workgroups: matrixGrid(rows, cols, 16),
    flops: rows * cols * 4,
  });
}

/**
 * wte[tokens] + wpe[position].
 *
 * @param tokens ids, `[B * T]`, each below the rows of wte
 * @param wpe left out, nothing is added for the position
 * @param T length of each sequence; positions start at `step.position`
 * @param index see `tokenIndex`; only needed for gradients
 */
export function embedding( // [B * T], [V, C], [n_positions, C] -> [B * T, C]
  tokens: Tensor,
  wte: Tensor,
  wpe: Tensor | undefined,
  T: number,
  index?: Tensor,
): Tensor {
  const inputs = [tokens, wte, wpe, index].filter((t) => t !== undefined);
  return wte.graph.node(embeddingOp, inputs, { T, hasPositions: wpe !== undefined }, [{
    rows: rowsOf(logicalLength(tokens.cols)),
    cols: wte.cols,
  }])
    .outputs[0]!;
}
