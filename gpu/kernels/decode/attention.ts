/**
 * Attention of one new token of each sequence over its KV cache, for decoding: a subgroup owns a head. For scores its lanes
 * stand for keys, for the sum of values they stand for columns, so that both walk along rows; nothing needs shared memory.
 * Keys and values of the new token stand in the caches already. Sparse patterns take the general kernel.
 */

import { logicalLength, rowsOf, type Tensor } from "../../graph.ts";
import type { Op } from "../../op.ts";
import { type CachedAttentionOptions, cachedShape, dispatchCached } from "../attention/mod.ts";
import type { CachedShape } from "../attention/generate_cached.ts";
import { subgroupReduce } from "../lanes.ts";
import { FALL, keyHeads, patternFunctions } from "../attention/pattern.ts";

interface DecodeAttrs {
  shape: CachedShape;
  lanes: number;
}

const decodeAttentionOp: Op = {
  name: "decode_attention",
  lower(node, lowering) {
    const [qkv, keys, values] = node.inputs as [Tensor, Tensor, Tensor];
    const [y] = node.outputs as [Tensor];
    const { shape, lanes } = node.attrs as DecodeAttrs;
    if (shape.sparse !== undefined) {
      dispatchCached(lowering, node, shape);
      return;
    }
    const { B, H, T_max, hd } = shape;
    lowering.dispatch({
      node,
      label: "decode attention",
      args: [
        { name: "qkv", tensor: qkv, access: "read" },
        { name: "k_cache", tensor: keys, access: "read" },
        { name: "v_cache", tensor: values, access: "read" },
        { name: "y", tensor: y, access: "write" },
      ],
      body: kernelText(shape, lanes),
      workgroups: [H, B, 1],
      flops: 4 * hd * B * H * T_max,
    });
  },
};

const text = (count: number, part: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => part(i)).join("");

function kernelText(shape: CachedShape, lanes: number): string {
  const { H, hd, T_max, alibi } = shape;
  const D = Math.ceil(hd / 4); // vec4s of a head
  const parts = Math.ceil(D / lanes); // vec4s of a head that a lane holds
  const turn = (v: string, components: string[]) =>
    components.map((c) => `subgroupShuffle(${v}${c}, next)`).join(", ");
  const scores = (part: number) => {
    const count = Math.min(lanes, D - part * lanes);
    return `    q = q${part};
    for (var d = ${part * lanes}u; d < ${part * lanes + count}u; d += 4u) {
${
      text(4, (i) =>
        `      s += dot(vec4f(${
          ["x", "y", "z", "w"].map((c) =>
            `subgroupShuffle(q.${c}, ${i}u)`
          ).join(", ")
        }), load_k_cache(row, cached + min(d + ${i}u, ${D - 1}u)));
`)
    }      q = vec4f(${turn("q", [".x", ".y", ".z", ".w"])});
    }
`;
  };
  return `${patternFunctions(shape)}
${subgroupReduce("lane_sum", lanes, (a, b) => `${a} + ${b}`)}${
    subgroupReduce("lane_max", lanes, (a, b) => `max(${a}, ${b})`)
  }@compute @workgroup_size(${lanes})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(subgroup_invocation_id) place: u32,
) {
  let lane = local.x;
  let next = (place + 4u) % ${lanes}u;
  let h = group.x;
  let b = group.y;
  let last = min(step.position, ${T_max - 1}u);
  let first = b * ${T_max}u;
  let cached = h / ${H / keyHeads(shape)}u * ${D}u;
${alibi ? FALL : ""}  let scale = ${Math.LOG2E / Math.sqrt(hd)};
${
    text(parts, (i) =>
      `  let at${i} = min(lane + ${i * lanes}u, ${D - 1}u);
  let q${i} = select(vec4f(0.0), load_qkv(b, h * ${D}u + at${i}) * scale, lane + ${i * lanes}u < ${D}u);
  var o${i} = vec4f(0.0);
`)
  }  var m = -1e30;
  var l = 0.0;
  for (var j = 0u; j <= last; j += ${lanes}u) {
    let row = first + min(j + lane, last);
    var s = 0.0;
    var q = vec4f(0.0);
${text(parts, scores)}${
    alibi ? "    s += fall * (f32(j + lane) - f32(last));\n" : ""
  }    s = select(-1e30, s, j + lane <= last);
    let n = max(m, lane_max(s));
    let r = exp2(m - n);
    m = n;
    var p = exp2(s - n);
    l = l * r + p;
${text(parts, (i) => `    o${i} *= r;\n`)}    for (var i = 0u; i < ${lanes}u; i += 4u) {
${
    text(4, (k) =>
      `      let p${k} = subgroupShuffle(p, ${k}u);
      let row${k} = first + min(j + i + ${k}u, last);
` + text(parts, (i) => `      o${i} += p${k} * load_v_cache(row${k}, cached + at${i});\n`))
  }      p = ${turn("p", [""])};
    }
  }
  let norm = 1.0 / lane_sum(l);
${
    text(parts, (i) =>
      `  if (lane + ${i * lanes}u < ${D}u) { store_y(b, h * ${D}u + lane + ${i * lanes}u, o${i} * norm); }
`)
  }}
`;
}

/**
 * Attention of one new token a sequence over all tokens up to itself, which stand in the caches, its own among them.
 *
 * @param qkv queries, keys and values of the new tokens: [B, 3C], as in `attention`
 * @param keys state, [B * T_max, C], or of n_kv_head heads
 * @param values state, [B * T_max, C], or of n_kv_head heads
 */
export function decodeAttention( // [B, 3C] -> [B, C]
  qkv: Tensor,
  keys: Tensor,
  values: Tensor,
  options: CachedAttentionOptions & { lanes: number },
): Tensor {
  const shape = cachedShape(qkv, options);
  return qkv.graph.node(decodeAttentionOp, [qkv, keys, values], { shape, lanes: options.lanes }, [{
    rows: rowsOf(logicalLength(qkv.rows)),
    cols: { groups: options.n_head, size: qkv.cols.size, multiple: qkv.cols.multiple },
  }]).outputs[0]!;
}
