/**
 * Rotary positions (Su et al. 2021, "RoFormer"): in every head of queries and keys, neighbouring lanes 2i and 2i + 1 are turned
 * as a pair by the angle position · theta^(-2i / head size), so that a score depends on how far apart two tokens are. It is
 * element-wise over vec4s, which hold whole pairs, and so fused into the product that makes queries and keys.
 */

import { axis, type Graph, physicalLength, rowsOf, type Tensor } from "../../graph.ts";
import type { Op } from "../../op.ts";

/** What a rotation must know beside its table. */
export interface RotaryOptions {
  /** Tokens of a sequence; positions start at `step.position`. */
  T: number;
  /** Heads that are turned, from the first; the others, of values, stay as they are. */
  heads: number;
}

interface RotaryAttrs extends RotaryOptions {
  /** 1, or -1 to turn back. */
  sign: 1 | -1;
}

/**
 * The angles' cosines and sines, computed in float64: row p holds (cos, sin) of every pair of lanes at position p.
 *
 * @param hd size of a head, even
 */
export function rotaryTable(graph: Graph, positions: number, hd: number, theta: number): Tensor { // [positions, hd]
  const data = new Float32Array(positions * hd);
  for (let p = 0; p < positions; p++) {
    for (let lane = 0; lane < hd; lane += 2) {
      const angle = p * theta ** (-lane / hd);
      data.set([Math.cos(angle), Math.sin(angle)], p * hd + lane);
    }
  }
  return graph.constant("rotary", rowsOf(positions), axis(hd), data);
}

const rotaryOp: Op = {
  name: "rotary",
  usesStep: true,
  prelude: `fn rotate(x: vec4f, t: vec4f, sign: f32) -> vec4f { // t: cosine and sine of two pairs
  return x * t.xxzz + sign * vec4f(-x.y, x.x, -x.w, x.z) * t.yyww;
}`,
  backward: (node, [g]) => [turn(g!, node.inputs[1]!, { ...node.attrs, sign: -node.attrs.sign }), undefined],
  readsAt(node, input) {
    if (input === 0) return undefined;
    return `step.position + row % ${node.attrs.T}u, col % ${headColumns(node.inputs[1]!)}u`;
  },
  expression(node, [x, table]) {
    const { heads, sign } = node.attrs as RotaryAttrs;
    const turned = `col < ${heads * headColumns(node.inputs[1]!)}u`;
    return `select(${x}, rotate(${x}, ${table}, ${sign}.0), ${turned})`;
  },
};

/** vec4s of a head. */
function headColumns(table: Tensor): number {
  return physicalLength(table.cols) / 4;
}

function turn(x: Tensor, table: Tensor, attrs: RotaryAttrs): Tensor {
  return x.graph.node(rotaryOp, [x, table], attrs, [{ rows: x.rows, cols: x.cols }]).outputs[0]!;
}

/**
 * Turns queries and keys by their positions.
 *
 * @param qkv queries, keys and values of all heads, side by side
 * @param table see `rotaryTable`
 */
export function rotary(qkv: Tensor, table: Tensor, options: RotaryOptions): Tensor { // [B * T, …] -> [B * T, …]
  return turn(qkv, table, { ...options, sign: 1 });
}
