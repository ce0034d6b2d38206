/**
 * The linear layer of a few rows over packed weights, for decoding: a subgroup takes a panel of columns and reads it in
 * one run. The operand comes in by one load of each lane and is handed round by shuffles: lane 0's vec4 is broadcast, then
 * all are turned by one lane. A norm before the layer is computed on the way, by each subgroup anew: that is less than the
 * dispatch it saves. Keys and values may be written to a KV cache on the way out.
 */

import { logicalLength, physicalLength, type Tensor } from "../../graph.ts";
import { type Arg, floatLiteral } from "../../lower.ts";
import type { Op } from "../../op.ts";
import { subgroupReduce } from "../lanes.ts";
import { loadVector, type PackedWeight, paddedK, panelCount, panelVectors } from "./packed.ts";

/** Most rows that share a load of the weights: more accumulators would leave the registers. */
const MOST_ROWS = 8;

/** The norm before a layer. */
export interface DecodeNorm {
  type: "layer_norm" | "rms_norm";
  gain: Tensor;
  offset: Tensor | undefined;
  epsilon: number;
}

/** Where keys and values go. */
export interface DecodeCache {
  keys: Tensor;
  values: Tensor;
  /** Tokens of each sequence that the caches hold. */
  T_max: number;
}

interface LinearAttrs {
  packed: PackedWeight;
  norm: DecodeNorm | undefined;
  hasBias: boolean;
  cache: DecodeCache | undefined;
}

const decodeLinearOp: Op = {
  name: "decode_linear",
  absorbs: true,
  lower(node, lowering) {
    const { packed, norm, hasBias, cache } = node.attrs as LinearAttrs;
    const [x, weight, ...rest] = node.inputs as [Tensor, Tensor, ...Tensor[]];
    const read = (name: string, tensor: Tensor): Arg => ({ name, tensor, access: "read" });
    const bias = hasBias ? [read("bias", rest[0]!)] : [];
    const finish = lowering.finish();
    const normArgs = norm === undefined
      ? []
      : [read("gain", norm.gain), ...(norm.offset === undefined ? [] : [read("offset", norm.offset)])];
    const cacheArgs: Arg[] = cache === undefined ? [] : [
      { name: "k_cache", tensor: cache.keys, access: "write" },
      { name: "v_cache", tensor: cache.values, access: "write" },
    ];
    const rows = logicalLength(x.rows);
    lowering.dispatch({
      node,
      label: rows === 1 ? "decode linear" : `decode linear ${rows}`,
      args: [read("x", x), read("weight", weight), ...bias, ...normArgs, ...finish.args, ...cacheArgs],
      body: finish.text + kernelText(x, packed, { norm, hasBias, cache }, rows, lowering.cols4(x)),
      workgroups: [panelCount(packed), Math.ceil(rows / MOST_ROWS), 1],
      flops: 2 * rows * packed.N * packed.K,
    });
  },
};

/** `part` for each row of a subgroup's. */
const each = (count: number, part: (m: number) => string): string =>
  Array.from({ length: count }, (_, m) => part(m)).join("");

function kernelText(
  x: Tensor,
  packed: PackedWeight,
  { norm, hasBias, cache }: Omit<LinearAttrs, "packed">,
  rows: number,
  cols: number,
): string {
  const { lanes, precision, N, K } = packed;
  const perGroup = Math.min(rows, MOST_ROWS);
  const row = (m: number) => rows % perGroup === 0 ? `m0 + ${m}u` : `min(m0 + ${m}u, ${rows - 1}u)`;
  const operand = norm === undefined
    ? "return v;"
    : norm.type === "rms_norm"
    ? "return v * spread * load_gain(0u, col);"
    : `return (v - mean) * spread * load_gain(0u, col)${
      norm.offset === undefined ? "" : " + load_offset(0u, col)"
    };`;
  const perTrip = precision === "f16" ? 2 : 1; // vec4s of the operand for four vectors of weights
  const depth = 4 * perTrip;
  const product = (kk: number) => {
    const weights = precision === "f16"
      ? `vec4f(unpack2x16float(t${kk >> 1}.${kk % 2 === 0 ? "x" : "z"}), unpack2x16float(t${kk >> 1}.${
        kk % 2 === 0 ? "y" : "w"
      }))`
      : `t${kk}`;
    return `      let w${kk} = ${weights};\n` +
      each(
        perGroup,
        (m) =>
          `      c${m} = fma(vec4f(subgroupShuffle(a${m}.${"xyzw"[kk % 4]}, ${kk >> 2}u)), w${kk}, c${m});\n`,
      );
  };
  const load = (v: number) => {
    const vector = loadVector("weight", `at + ${v}u`, lanes);
    return `      let t${v} = ${precision === "f16" ? `bitcast<vec4u>(${vector})` : vector};\n`;
  };
  return `${norm === undefined ? "" : statisticsText(norm, logicalLength(x.cols), cols, lanes)}
fn operand(row: u32, col: u32, mean: f32, spread: f32) -> vec4f {
  if (col >= ${cols}u) { return vec4f(0.0); }
  let v = load_x(row, col);
  ${operand}
}
${cache === undefined ? "" : cacheText(cache, N / 4)}
@compute @workgroup_size(${lanes})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(subgroup_invocation_id) place: u32,
) {
  let lane = local.x;
  let next = (place + ${perTrip}u) % ${lanes}u;
  let col = group.x * ${lanes}u + lane;
  let m0 = group.y * ${perGroup}u;
  let start = ${hasBias ? `load_bias(0u, min(col, ${N / 4 - 1}u))` : "vec4f(0.0)"};
${
    each(perGroup, (m) =>
      `  let s${m} = ${norm === undefined ? "vec2f(0.0)" : `statistics(${row(m)}, lane)`};
  var c${m} = start;
`)
  }  var at = group.x * ${panelVectors(packed)}u;
  for (var q0 = 0u; q0 < ${paddedK(K, lanes) / 4}u; q0 += ${lanes}u) {
${each(perGroup, (m) => `    var a${m} = operand(${row(m)}, q0 + lane, s${m}.x, s${m}.y);\n`)}
    for (var i = 0u; i < ${lanes / perTrip}u; i++) {
${each(4, load)}${each(depth, product)}
${each(perGroup, (m) => `      a${m} = ${turned(`a${m}`)};\n`)}
      at += 4u;
    }
  }
  if (col < ${N / 4}u) {
${
    each(perGroup, (m) =>
      `    if (m0 + ${m}u < ${rows}u) { finish(m0 + ${m}u, col, c${m});${
        cache === undefined ? "" : ` append(m0 + ${m}u, col, c${m});`
      } }
`)
  }  }
}
`;
}

/** A vec4 of the lane that stands `perTrip` places on. */
const turned = (a: string): string =>
  `vec4f(${["x", "y", "z", "w"].map((c) => `subgroupShuffle(${a}.${c}, next)`).join(", ")})`;

/** WGSL of `statistics(row, lane)`: mean and 1 / deviation of a row, the same in every lane. */
function statisticsText({ type, epsilon }: DecodeNorm, C: number, cols: number, lanes: number): string {
  const mean = type === "rms_norm" ? "  let mean = 0.0;\n" : `  var sum = 0.0;
  for (var col = lane; col < ${cols}u; col += ${lanes}u) { sum += dot(load_x(row, col), vec4f(1.0)); }
  let mean = lane_sum(sum) / ${floatLiteral(C)};
`;
  return `${
    subgroupReduce("lane_sum", lanes, (a, b) => `${a} + ${b}`)
  }fn inside(col: u32) -> vec4f { // 1 in true columns, 0 in padding
  return select(vec4f(0.0), vec4f(1.0), vec4u(4u * col) + vec4u(0u, 1u, 2u, 3u) < vec4u(${C}u));
}
fn statistics(row: u32, lane: u32) -> vec2f {
${mean}  var squares = 0.0;
  for (var col = lane; col < ${cols}u; col += ${lanes}u) {
    let d = (load_x(row, col) - mean) * inside(col);
    squares += dot(d, d);
  }
  return vec2f(mean, 1.0 / sqrt(lane_sum(squares) / ${floatLiteral(C)} + ${floatLiteral(epsilon)}));
}`;
}

/** WGSL of `append`: columns of keys and of values also go to row `step.position` of their sequence in the caches. */
function cacheText({ keys, T_max }: DecodeCache, columns: number): string {
  const width = physicalLength(keys.cols) / 4;
  return `fn append(row: u32, col: u32, v: vec4f) {
  if (step.position >= ${T_max}u) { return; }
  let to = row * ${T_max}u + step.position;
  if (col >= ${columns - width}u) { store_v_cache(to, col - ${columns - width}u, v); }
  else if (col >= ${columns - 2 * width}u) { store_k_cache(to, col - ${columns - 2 * width}u, v); }
}`;
}

/**
 * norm(x)·w + b over packed weights, for a few rows.
 *
 * @param options norm: what stands before the layer; cache: where keys and values of x, the next token of each sequence, go
 */
export function decodeLinear( // [M, K] · [K, N] + [1, N] -> [M, N]
  x: Tensor,
  packed: PackedWeight,
  bias: Tensor | undefined,
  options: { norm?: DecodeNorm; cache?: DecodeCache } = {},
): Tensor {
  const { norm, cache } = options;
  const inputs = [
    x,
    packed.matrix,
    ...[bias, norm?.gain, norm?.offset, cache?.keys, cache?.values].filter((t) => t !== undefined),
  ];
  const attrs: LinearAttrs = { packed, norm, hasBias: bias !== undefined, cache };
  return x.graph.node(decodeLinearOp, inputs, attrs, [{ rows: x.rows, cols: packed.cols }]).outputs[0]!;
}
