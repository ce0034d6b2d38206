/**
 * Causal flash attention, backward: two kernels, one over query rows for dQ, one over key rows for dK and dV.
 *
 * Both compute the probabilities again from the stored log-sum-exp (Dao 2023, FlashAttention-2), each sums in a
 * fixed order, so no atomics are needed. With P the probabilities and G = dy:
 * dV = P^T G, dS = P * (G V^T - delta), dQ = dS K / sqrt(hd), dK = dS^T Q / sqrt(hd), delta = rowsum(G * y).
 * Dropout multiplies the P of dV and the G V^T by the mask; delta stays what it is.
 */

import { type AttentionDropout, keepFactor, keepFactors, keepFunction } from "./generate_dropout.ts";
import { type KeyWalk, keyWalk } from "./generate_forward.ts";
import {
  type AttentionKernel,
  type AttentionShape,
  type AttentionTiles,
  headColumns,
  perBlock,
  rowWithin,
  unroll,
  unroll2,
} from "./generate_text.ts";
import { columnsOf, FALL, keyHeads, patternFunctions, sparseLoop, visiblePairs } from "./pattern.ts";

/** Options of `backwardQueries` and `backwardKeys`. */
export type BackwardOptions = AttentionShape & AttentionTiles & AttentionDropout;

/**
 * dQ kernel. Reads `qkv` [B*T, (H + 2*H_kv)*D], `y` and `dy` [B*T, H*D], `stats` [B*H*T, 1]; writes columns [0, H*D) of
 * `dqkv` and `delta` [B*H*T, 1] as (log2-sum-exp, delta, 0, 0), which `backwardKeys` reads.
 *
 * @throws RangeError when a size or tile is not a positive integer, or dropout not in [0, 1)
 */
export function backwardQueries(options: BackwardOptions): AttentionKernel {
  const { B, T, H, hd, queries, keys, dropout } = options;
  const D = headColumns(hd);
  const scale = 1 / Math.sqrt(hd);
  const { loop, visible, bias, keep } = keyWalk(options);
  let body = `  let q0 = block * ${queries}u;
  let last = min(q0 + ${queries - 1}u, ${T - 1}u);
${columnsOf(options, D)}`;
  for (let q = 0; q < queries; q++) {
    body += `  let query${q} = ${rowWithin("q0", q, queries, T)};\n`;
    body += `  let lse${q} = load_stats(head_row * ${T}u + query${q}, 0u).x;\n  var delta${q} = 0.0;\n`;
    for (let d = 0; d < D; d++) {
      const at = `first_row + query${q}, qcol + ${d}u`;
      body += `  let q${q}_${d} = load_qkv(${at}) * ${scale * Math.LOG2E};\n`;
      body += `  let g${q}_${d} = load_dy(${at});\n`;
      body += `  delta${q} += dot(g${q}_${d}, load_y(${at}));\n`;
      body += `  var o${q}_${d} = vec4f(0.0);\n`;
    }
  }
  body += loop;
  body += unroll2(queries, keys, (q, k) => `    var s${q}_${k} = 0.0;\n    var t${q}_${k} = 0.0;\n`);
  for (let d = 0; d < D; d++) {
    for (let k = 0; k < keys; k++) {
      body += `    let k${k}_${d} = load_qkv(row${k}, kcol + ${d}u);\n`;
      body += `    let v${k}_${d} = load_qkv(row${k}, vcol + ${d}u);\n`;
      for (let q = 0; q < queries; q++) {
        body += `    s${q}_${k} += dot(q${q}_${d}, k${k}_${d});\n`;
        body += `    t${q}_${k} += dot(g${q}_${d}, v${k}_${d});\n`;
      }
    }
  }
  for (let q = 0; q < queries; q++) {
    if (keep) body += keep(q);
    for (let k = 0; k < keys; k++) {
      const dp = `t${q}_${k}${dropout > 0 ? ` * keep${q}_${k}` : ""}`;
      const score = `s${q}_${k}${bias ? ` + ${bias(q, k)}` : ""}`;
      body += `    let p${q}_${k} = select(0.0, exp2(${score} - lse${q}), ${visible(q, k)});\n`;
      body += `    let w${q}_${k} = p${q}_${k} * (${dp} - delta${q});\n`;
    }
  }
  body += unroll2(D, queries, (d, q) => {
    const sum = Array.from({ length: keys }, (_, k) => `w${q}_${k} * k${k}_${d}`);
    return `    o${q}_${d} += ${sum.join(" + ")};\n`;
  });
  body += `  }\n`;
  for (let q = 0; q < queries; q++) {
    body += `  if (live && q0 + ${q}u < ${T}u) {\n`;
    body += unroll(D, (d) => `    store_dqkv(first_row + query${q}, qcol + ${d}u, o${q}_${d} * ${scale});\n`);
    body += `    store_delta(head_row * ${T}u + query${q}, 0u, vec4f(lse${q}, delta${q}, 0.0, 0.0));\n  }\n`;
  }
  const { code, workgroups } = perBlock(options, options, Math.ceil(T / queries), true, body);
  return {
    code: keepFunction(options, T) + patternFunctions(options) + code,
    workgroups,
    flops: 6 * hd * B * H * visiblePairs(T, options.sparse),
    bytes: 2 * 16 * B * T * (2 * H + keyHeads(options)) * D + 2 * 16 * B * H * T,
  };
}

/**
 * dK and dV kernel. Reads `qkv` [B*T, (H + 2*H_kv)*D], `dy` [B*T, H*D], `delta` [B*H*T, 1]; writes the columns of `dqkv`
 * from H*D on. Where several heads of queries share one of keys, an invocation takes one after the other.
 *
 * @throws RangeError when a size or tile is not a positive integer, or dropout not in [0, 1)
 */
export function backwardKeys(options: BackwardOptions): AttentionKernel {
  const { B, T, H, hd, queries, keys, dropout } = options;
  const D = headColumns(hd);
  const scale = 1 / Math.sqrt(hd);
  const weight = dropout > 0 ? "a" : "p";
  const H_kv = keyHeads(options);
  const { loop, visible, bias, keep } = queryWalk(options);
  const head = `  let qcol = h * ${D}u;\n${options.alibi ? FALL : ""}`;
  let body = `  let k0 = block * ${keys}u;
${H_kv === H ? head : ""}  let kcol = (${H}u + h) * ${D}u;
  let vcol = (${H + H_kv}u + h) * ${D}u;
`;
  for (let k = 0; k < keys; k++) {
    body += `  let key${k} = first_row + ${rowWithin("k0", k, keys, T)};\n`;
    for (let d = 0; d < D; d++) {
      body += `  let k${k}_${d} = load_qkv(key${k}, kcol + ${d}u) * ${scale * Math.LOG2E};\n`;
      body += `  let v${k}_${d} = load_qkv(key${k}, vcol + ${d}u);\n`;
      body += `  var x${k}_${d} = vec4f(0.0);\n  var z${k}_${d} = vec4f(0.0);\n`;
    }
  }
  if (H_kv !== H) { // from here on h and head_row are those of the queries
    body += `  for (var g = 0u; g < ${H / H_kv}u; g++) {
  let head_row = head_row / ${H_kv}u * ${H}u + h * ${H / H_kv}u + g;
  let h = h * ${H / H_kv}u + g;
${head}`;
  }
  body += loop;
  for (let q = 0; q < queries; q++) {
    body += `    let row${q} = first_row + query${q};\n`;
    body += `    let stats${q} = load_delta(head_row * ${T}u + query${q}, 0u);\n`;
  }
  body += unroll2(queries, keys, (q, k) => `    var s${q}_${k} = 0.0;\n    var t${q}_${k} = 0.0;\n`);
  for (let d = 0; d < D; d++) {
    for (let q = 0; q < queries; q++) {
      body += `    let q${q}_${d} = load_qkv(row${q}, qcol + ${d}u);\n`;
      body += `    let g${q}_${d} = load_dy(row${q}, qcol + ${d}u);\n`;
      for (let k = 0; k < keys; k++) {
        body += `    s${q}_${k} += dot(k${k}_${d}, q${q}_${d});\n`;
        body += `    t${q}_${k} += dot(v${k}_${d}, g${q}_${d});\n`;
      }
    }
  }
  for (let q = 0; q < queries; q++) {
    if (keep) body += keep(q);
    for (let k = 0; k < keys; k++) {
      const score = `s${q}_${k}${bias ? ` + ${bias(q, k)}` : ""}`;
      body += `    let p${q}_${k} = select(0.0, exp2(${score} - stats${q}.x), ${visible(q, k)});\n`;
      if (dropout > 0) body += `    let a${q}_${k} = p${q}_${k} * keep${q}_${k};\n`;
      const dp = `t${q}_${k}${dropout > 0 ? ` * keep${q}_${k}` : ""}`;
      body += `    let w${q}_${k} = p${q}_${k} * (${dp} - stats${q}.y);\n`;
    }
  }
  body += unroll2(D, keys, (d, k) => {
    const dk = Array.from({ length: queries }, (_, q) => `w${q}_${k} * q${q}_${d}`);
    const dv = Array.from({ length: queries }, (_, q) => `${weight}${q}_${k} * g${q}_${d}`);
    return `    x${k}_${d} += ${dk.join(" + ")};\n    z${k}_${d} += ${dv.join(" + ")};\n`;
  });
  body += H_kv === H ? `  }\n` : `  }\n  }\n`;
  for (let k = 0; k < keys; k++) {
    body += `  if (live && k0 + ${k}u < ${T}u) {\n`;
    for (let d = 0; d < D; d++) {
      body += `    store_dqkv(key${k}, kcol + ${d}u, x${k}_${d} * ${scale});\n`;
      body += `    store_dqkv(key${k}, vcol + ${d}u, z${k}_${d});\n`;
    }
    body += `  }\n`;
  }
  const shape = { B, T, H: H_kv, hd };
  const { code, workgroups } = perBlock(shape, options, Math.ceil(T / keys), false, body);
  return {
    code: keepFunction(options, T) + patternFunctions(options) + code,
    workgroups,
    flops: 8 * hd * B * H * visiblePairs(T, options.sparse),
    bytes: 2 * 16 * B * T * (H + 2 * H_kv) * D + 16 * B * H * T,
  };
}

/**
 * How an invocation that owns `keys` keys from `k0` on runs over the queries that see them; `loop` declares `query0` …
 * `query{queries - 1}`.
 *
 * @throws RangeError when attention is sparse and `keys` is not 1
 */
function queryWalk({ T, queries, keys, alibi, sparse, dropout }: BackwardOptions): KeyWalk {
  if (sparse !== undefined) {
    if (keys !== 1) throw new RangeError("attention: sparse kernels own one key an invocation");
    return {
      loop: sparseLoop(`${T - 1}u - k0`, queries) +
        unroll(queries, (q) => `    let query${q} = k0 + away${q};\n`),
      visible: (q) => `n + ${q}u < seen_count`,
      bias: alibi ? (q) => `fall * -f32(away${q})` : undefined,
      keep: dropout > 0 ? (q) => keepFactor(`keep${q}_0`, `query${q}`, "k0") : undefined,
    };
  }
  return {
    // From the last query down, so that neighbouring invocations read the same rows whatever keys they own.
    loop: `  for (var n = 0u; n < ${T}u - k0; n += ${queries}u) {\n` +
      unroll(
        queries,
        (q) => `    let query${q} = ${T - 1}u - ${q === 0 ? "n" : `min(n + ${q}u, ${T - 1}u)`};\n`,
      ),
    visible: (q, k) => `n + k0 < ${Math.max(0, T - q - k)}u`,
    bias: alibi ? (q, k) => `fall * (f32(k0 + ${k}u) - f32(query${q}))` : undefined,
    keep: dropout > 0 ? (q) => keepFactors(`keep${q}_`, `query${q}`, "k0", keys) : undefined,
  };
}
