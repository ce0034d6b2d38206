/**
 * Causal attention as it stands in the textbook: the weights of all pairs of tokens are computed, stand in memory as one [T, T]
 * matrix a head, and the backward pass reads them again. Plain kernels, for looking into attention and for comparing; what it
 * computes is what the flash kernels compute, dropout's masks included.
 */

import { axis, logicalLength, type Node, physicalLength, rowsOf, type Tensor } from "../../graph.ts";
import type { Arg, Lowering } from "../../lower.ts";
import type { Op } from "../../op.ts";
import { matrixGrid, matrixPlace } from "../grid.ts";
import { ROW_BUILTINS, rowLanes } from "../lanes.ts";
import { RANDOM_WGSL } from "../random.ts";
import { type AttentionDropout, keepFunction } from "./generate_dropout.ts";
import type { AttentionShape } from "./generate_text.ts";
import { FALL, keyHeads, patternFunctions, type Sparsity, visiblePairs } from "./pattern.ts";
import mixWgsl from "./mix.wgsl" with { type: "text" };
import mixTransposedWgsl from "./mix_transposed.wgsl" with { type: "text" };
import pairsWgsl from "./pairs.wgsl" with { type: "text" };
import softmaxBackwardWgsl from "./softmax_backward.wgsl" with { type: "text" };
import softmaxWgsl from "./softmax.wgsl" with { type: "text" };

/** What a node of standard attention carries. */
export type StandardAttrs = AttentionShape & AttentionDropout;

const read = (name: string, tensor: Tensor): Arg => ({ name, tensor, access: "read" });
const write = (name: string, tensor: Tensor): Arg => ({ name, tensor, access: "write" });

/** Standard attention: outputs y [B * T, C] and the weights before dropout, [B * H * T, T]. */
export const standardAttentionOp: Op = {
  name: "attention",
  lower(node, lowering) {
    const [qkv] = node.inputs as [Tensor];
    const [y, weights] = node.outputs as [Tensor, Tensor];
    const kernels = new Kernels(node, lowering);
    const scores = kernels.matrix("scores");
    kernels.pairs("attention scores", read("a", qkv), 0, read("b", qkv), "keys", scores);
    kernels.softmax(scores, weights);
    kernels.mix("attention mix", weights, true, read("b", qkv), "values", y);
  },
  backward(node, [dy]) {
    const [qkv] = node.inputs as [Tensor];
    const weights = node.outputs[1]!;
    return qkv.graph.node(standardBackwardOp, [qkv, weights, dy!], node.attrs, [
      { rows: qkv.rows, cols: qkv.cols },
    ]).outputs;
  },
};

const standardBackwardOp: Op = {
  name: "attention_backward",
  lower(node, lowering) {
    const [qkv, weights, dy] = node.inputs as [Tensor, Tensor, Tensor];
    const [dqkv] = node.outputs as [Tensor];
    const kernels = new Kernels(node, lowering);
    const dweights = kernels.matrix("dweights");
    const dscores = kernels.matrix("dscores");
    kernels.pairs("attention dweights", read("a", dy), 0, read("b", qkv), "values", dweights);
    kernels.softmaxBackward(weights, dweights, dscores);
    kernels.mix("attention dQ", dscores, false, read("b", qkv), "keys", dqkv);
    kernels.mixTransposed("attention dK", dscores, false, read("a", qkv), "keys", dqkv);
    kernels.mixTransposed("attention dV", weights, true, read("a", dy), "values", dqkv);
  },
};

/** The kernels of one node. */
class Kernels {
  readonly #node: Node;
  readonly #lowering: Lowering;
  readonly #a: StandardAttrs;
  readonly #D: number;
  readonly #constants: Record<string, number>;

  constructor(node: Node, lowering: Lowering) {
    const attrs = node.attrs as StandardAttrs;
    const [qkv] = node.inputs as [Tensor];
    this.#node = node;
    this.#lowering = lowering;
    this.#a = attrs;
    this.#D = physicalLength(qkv.cols) / 4 / qkv.cols.groups;
    const { T, H } = attrs;
    this.#constants = { T, H, D: this.#D, GROUP: H / keyHeads(attrs), BLOCKS: Math.ceil(T / 4) };
  }

  /** A matrix of all pairs, [B * H * T, T], that only this node sees. */
  matrix(name: string): Tensor {
    const { B, H, T } = this.#a;
    return this.#lowering.scratch(this.#node, name, B * H * T, T);
  }

  /** First column in qkv of the keys or the values, in vec4s. */
  #first(part: "keys" | "values"): number {
    const { H } = this.#a;
    return (part === "keys" ? H : H + keyHeads(this.#a)) * this.#D;
  }

  #dispatch(
    label: string,
    args: Arg[],
    constants: Record<string, number>,
    body: string,
    grid: { rows: number; cols: number },
    flopsPerPair: number,
  ): void {
    const { B, T, H, sparse } = this.#a;
    this.#lowering.dispatch({
      node: this.#node,
      label,
      args,
      constants: { ...this.#constants, ...constants },
      body: body.replace("PLACE", matrixPlace(grid.rows, grid.cols)),
      workgroups: matrixGrid(grid.rows, grid.cols, 16),
      flops: flopsPerPair * B * H * visiblePairs(T, sparse),
    });
  }

  /** out[i, j] = a[i] · b[j]. */
  pairs(label: string, a: Arg, A_FIRST: number, b: Arg, part: "keys" | "values", out: Tensor): void {
    const { B, H, T, hd } = this.#a;
    const blocks = Math.ceil(T / 4);
    const constants = { A_FIRST, B_FIRST: this.#first(part) };
    const grid = { rows: B * H * blocks, cols: blocks };
    this.#dispatch(label, [a, b, write("out", out)], constants, pairsWgsl, grid, 2 * hd);
  }

  /** out[i] = Σ w[i, j] · b[j], into the columns of the queries. */
  mix(label: string, w: Tensor, dropped: boolean, b: Arg, part: "keys" | "values", out: Tensor): void {
    const { B, H, T, hd } = this.#a;
    const constants = { B_FIRST: this.#first(part) };
    const grid = { rows: B * Math.ceil(T / 4), cols: H * this.#D };
    const body = this.#weight(dropped) + mixWgsl;
    this.#dispatch(label, [read("w", w), b, write("out", out)], constants, body, grid, 2 * hd);
  }

  /** out[j] = Σ w[i, j] · a[i], into the columns of the keys or the values. */
  mixTransposed(
    label: string,
    w: Tensor,
    dropped: boolean,
    a: Arg,
    part: "keys" | "values",
    out: Tensor,
  ): void {
    const { B, T, hd } = this.#a;
    const constants = { OUT_FIRST: this.#first(part) };
    const grid = { rows: B * Math.ceil(T / 4), cols: keyHeads(this.#a) * this.#D };
    const body = this.#weight(dropped) + mixTransposedWgsl;
    this.#dispatch(label, [read("w", w), a, write("out", out)], constants, body, grid, 2 * hd);
  }

  /** WGSL of `weight(head_row, i, quad)`, four weights of query i, after dropout where `dropped`. */
  #weight(dropped: boolean): string {
    const keep = dropped && this.#a.dropout > 0;
    return `${keep ? this.#keep() : ""}
fn weight(head_row: u32, i: u32, quad: u32) -> vec4f {
  return load_w(head_row * T + i, quad)${keep ? " * keep4(head_row, i, quad)" : ""};
}
`;
  }

  #keep(): string {
    return this.#a.dropout > 0 ? RANDOM_WGSL + keepFunction(this.#a, this.#a.T) : "";
  }

  softmax(scores: Tensor, weights: Tensor): void {
    const { alibi, sparse } = this.#a;
    const bias = alibi ? " + fall * (vec4f(j) - vec4f(f32(i)))" : "";
    const text = `${patternFunctions({ ...this.#a, sparse: undefined })}
fn score(row: u32, col: u32, i: u32, fall: f32) -> vec4f { // in nats; keys that are not seen can never win
  let j = vec4u(4u * col) + vec4u(0u, 1u, 2u, 3u);
  return select(vec4f(-1e30), load_scores(row, col) * SCALE${bias}, ${seesWgsl(sparse)});
}
`;
    const start = alibi ? `${FALL.trim().replace("slope(h)", `slope(h) * ${Math.LN2}`)}` : "let fall = 0.0;";
    this.#rows("attention softmax", text + softmaxWgsl.replace("BIAS_START", start), [
      read("scores", scores),
      write("weights", weights),
    ]);
  }

  softmaxBackward(weights: Tensor, dweights: Tensor, dscores: Tensor): void {
    const keep = this.#a.dropout > 0 ? " * keep4(head_row, i, col)" : "";
    const text = `${this.#keep()}
fn masked(row: u32, col: u32, head_row: u32, i: u32) -> vec4f {
  let seen = load_weights(row, col) > vec4f(0.0); // elsewhere nothing was written
  return select(vec4f(0.0), load_dweights(row, col)${keep}, seen);
}
`;
    this.#rows("attention softmax backward", text + softmaxBackwardWgsl, [
      read("weights", weights),
      read("dweights", dweights),
      write("dscores", dscores),
    ]);
  }

  /** Records a kernel in which one or several lanes walk along each query's row of all pairs. */
  #rows(label: string, wgsl: string, args: Arg[]): void {
    const { B, H, T, hd } = this.#a;
    const rows = B * H * T;
    const lanes = rowLanes(this.#lowering.profile, rows);
    this.#lowering.dispatch({
      node: this.#node,
      label,
      args,
      constants: { T, H, COLS: Math.ceil(T / 4) },
      floats: { SCALE: 1 / Math.sqrt(hd) },
      body: lanes.declarations + wgsl.replace("WORKGROUP", String(lanes.workgroupSize))
        .replace("BUILTINS", ROW_BUILTINS).replace("PLACE", lanes.place),
      workgroups: lanes.workgroups,
      flops: rows * T * 6,
    });
  }
}

/** WGSL: which of the four keys `j` query `i` sees. */
function seesWgsl(sparse: Sparsity | undefined): string {
  const causal = "j <= vec4u(i)";
  if (sparse === undefined) return causal;
  const { window, stride } = sparse;
  const away = "(vec4u(i) - j)"; // wraps where j > i, which `causal` leaves out
  return `(${causal}) & ((${away} < vec4u(${window}u)) | (${away} % vec4u(${stride}u) == vec4u(0u)))`;
}

/** The outputs of a node of standard attention. */
export function standardOutputs(qkv: Tensor, attrs: StandardAttrs): { y: Tensor; weights: Tensor } {
  const { B, T, H } = attrs;
  const heads = axis(qkv.cols.size, { groups: H, multiple: qkv.cols.multiple });
  const [y, weights] = qkv.graph.node(standardAttentionOp, [qkv], attrs, [
    { rows: rowsOf(logicalLength(qkv.rows)), cols: heads },
    { rows: rowsOf(B * H * T), cols: axis(T), name: "weights" },
  ]).outputs as [Tensor, Tensor];
  return { y, weights };
}
