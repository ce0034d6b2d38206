/**
 * Drawing the next token of each sequence on the device: temperature, top_k, top_p, then one random number that the host
 * hands over. What `models/sampling.ts` does in float64 is done here in float32, without sorting: the border of top_k and of
 * top_p is found digit by digit of the logits' bits, and tokens are drawn in the order of their ids.
 */

import { logicalLength, physicalLength, rowsOf, type Tensor } from "../../graph.ts";
import type { Lowering } from "../../lower.ts";
import type { Op } from "../../op.ts";
import { subgroupReduce, vectorLanes } from "../lanes.ts";
import sampleWgsl from "./sample.wgsl" with { type: "text" };

/** Steps that the rings of random numbers and of tokens hold. */
export const SAMPLE_RING = 16;

/** Marks in a ring of tokens a row with a logit that is NaN or Infinity. */
export const BROKEN_LOGITS = 0xffffffff;

/** Lanes of a workgroup where subgroups are not known. */
const SHARED_LANES = 64;

const sampleOp: Op = {
  name: "sample",
  lower(node, lowering) {
    const [logits, sampling, randoms, ids] = node.inputs as [Tensor, Tensor, Tensor, Tensor | undefined];
    const rows = physicalLength(randoms.cols) / SAMPLE_RING;
    const { text, lanes } = laneSums(lowering);
    const next = ids === undefined ? "" : "next_ids[row] = select(token, 0u, token == 0xffffffffu);";
    lowering.dispatch({
      node,
      label: "sample",
      args: [
        { name: "logits", tensor: logits, access: "read" },
        { name: "sampling", tensor: sampling, access: "read" },
        { name: "randoms", tensor: randoms, access: "read" },
        { name: "tokens", tensor: node.outputs[0]!, access: "write" },
        ...(ids === undefined ? [] : [{ name: "next_ids", tensor: ids, access: "write" as const }]),
      ],
      constants: {
        V: logicalLength(logits.cols),
        ROWS: rows,
        LOGITS: logicalLength(logits.rows),
        LANES: lanes,
      },
      body: text + sampleWgsl.replace("NEXT", next),
      workgroups: [rows, 1, 1],
      flops: 4 * rows * logicalLength(logits.cols),
    });
  },
};

/** WGSL of `lane_sum` and `lane_max` over the lanes of a workgroup, which all of them get. */
function laneSums({ profile, hasSubgroups }: Lowering): { text: string; lanes: number } {
  if (profile === "gpu" || !hasSubgroups) {
    const reduce = (name: string, combine: string) =>
      `fn lane_${name}(v: vec4f, lane: u32) -> vec4f {
  workgroupBarrier();
  shared_values[lane] = v;
  workgroupBarrier();
  for (var half = ${SHARED_LANES / 2}u; half > 0u; half = half / 2u) {
    if (lane < half) {
      let a = shared_values[lane];
      let b = shared_values[lane + half];
      shared_values[lane] = ${combine};
    }
    workgroupBarrier();
  }
  return shared_values[0];
}
`;
    return {
      lanes: SHARED_LANES,
      text: `var<workgroup> shared_values: array<vec4f, ${SHARED_LANES}>;\n${reduce("sum", "a + b")}${
        reduce("max", "max(a, b)")
      }`,
    };
  }
  const lanes = vectorLanes(profile);
  const reduce = (name: string, combine: (a: string, b: string) => string) =>
    `${subgroupReduce(`one_${name}`, lanes, combine)}fn lane_${name}(v: vec4f, lane: u32) -> vec4f {
  return vec4f(${["x", "y", "z", "w"].map((c) => `one_${name}(v.${c})`).join(", ")});
}
`;
  return { lanes, text: reduce("sum", (a, b) => `${a} + ${b}`) + reduce("max", (a, b) => `max(${a}, ${b})`) };
}

/**
 * Draws B tokens, each from a row of logits, or all from the one that there is.
 *
 * @param sampling u32 [4]: bits of the temperature, top_k, bits of top_p, unused
 * @param randoms f32 [16 * B], numbers from 0 to less than 1: that of `step.slot` * B + row is taken
 * @param ids u32 [B], where the tokens are written to go in next; left out, nowhere
 * @returns u32 [16 * B], where the tokens are written at `step.slot` * B + row; `BROKEN_LOGITS` for broken ones
 */
export function sample(
  logits: Tensor,
  sampling: Tensor,
  randoms: Tensor,
  ids: Tensor | undefined,
): Tensor { // [B, V] or [1, V] -> [16 * B]
  const inputs = [logits, sampling, randoms, ...(ids === undefined ? [] : [ids])];
  return logits.graph.node(sampleOp, inputs, {}, [{
    rows: rowsOf(1),
    cols: rowsOf(physicalLength(randoms.cols)),
    form: "array",
    dtype: "u32",
  }]).outputs[0]!;
}
