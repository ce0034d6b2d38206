/**
 * Causal flash attention, backward: two kernels, one over query rows for dQ, one over key rows for dK and dV.
 *
 * Both compute the probabilities again from the stored log-sum-exp (Dao 2023, FlashAttention-2), each sums in a
 * fixed order, so no atomics are needed. With P the probabilities and G = dy:
 * dV = P^T G, dS = P * (G V^T - delta), dQ = dS K / sqrt(hd), dK = dS^T Q / sqrt(hd), delta = rowsum(G * y).
 */

import {
  type AttentionKernel,
  type AttentionShape,
  type AttentionTiles,
  causalPairs,
  headColumns,
  perBlock,
  unroll,
} from "./generate_text.ts";

/** Options of `backwardQueries` and `backwardKeys`. */
export type BackwardOptions = AttentionShape & AttentionTiles;

/**
 * dQ kernel. Reads `qkv` [B*T, 3*H*D], `y` and `dy` [B*T, H*D], `stats` [B*H*T, 1]; writes columns [0, H*D) of
 * `dqkv` and `delta` [B*H*T, 1] as (log2-sum-exp, delta, 0, 0), which `backwardKeys` reads.
 *
 * @throws RangeError when a size or tile is not a positive integer
 */
export function backwardQueries(options: BackwardOptions): AttentionKernel {
  const { B, T, H, hd, queries, keys } = options;
  const D = headColumns(hd);
  const scale = 1 / Math.sqrt(hd);
  const queryRow = (q: number) => T % queries === 0 ? `q0 + ${q}u` : `min(q0 + ${q}u, ${T - 1}u)`;
  const keyRow = (k: number) => T % keys === 0 ? `j + ${k}u` : `min(j + ${k}u, ${T - 1}u)`;
  const body = `  let q0 = block * ${queries}u;
  let last = min(q0 + ${queries - 1}u, ${T - 1}u);
  let qcol = h * ${D}u;
  let kcol = (${H}u + h) * ${D}u;
  let vcol = (${2 * H}u + h) * ${D}u;
` +
    unroll(queries, (q) =>
      `  let query${q} = ${queryRow(q)};\n` +
      `  let lse${q} = load_stats(head_row * ${T}u + query${q}, 0u).x;\n  var delta${q} = 0.0;\n` +
      unroll(D, (d) =>
        `  let q${q}_${d} = load_qkv(first_row + query${q}, qcol + ${d}u) * ${scale * Math.LOG2E};\n` +
        `  let g${q}_${d} = load_dy(first_row + query${q}, qcol + ${d}u);\n` +
        `  delta${q} += dot(g${q}_${d}, load_y(first_row + query${q}, qcol + ${d}u));\n` +
        `  var o${q}_${d} = vec4f(0.0);\n`)) +
    `  for (var j = 0u; j <= last; j += ${keys}u) {\n` +
    unroll(keys, (k) => `    let row${k} = first_row + ${keyRow(k)};\n`) +
    unroll(queries, (q) => unroll(keys, (k) => `    var s${q}_${k} = 0.0;\n    var t${q}_${k} = 0.0;\n`)) +
    unroll(D, (d) =>
      unroll(keys, (k) =>
        `    let k${k}_${d} = load_qkv(row${k}, kcol + ${d}u);\n` +
        `    let v${k}_${d} = load_qkv(row${k}, vcol + ${d}u);\n` +
        unroll(queries, (q) =>
          `    s${q}_${k} += dot(q${q}_${d}, k${k}_${d});\n` +
          `    t${q}_${k} += dot(g${q}_${d}, v${k}_${d});\n`))) +
    unroll(
      queries,
      (q) =>
        unroll(
          keys,
          (k) =>
            `    let w${q}_${k} = select(0.0, exp2(s${q}_${k} - lse${q}) * (t${q}_${k} - delta${q}), ` +
            `j + ${k}u <= q0 + ${q}u);\n`,
        ),
    ) +
    unroll(D, (d) =>
      unroll(queries, (q) =>
        `    o${q}_${d} += w${q}_0 * k0_${d}` +
        unroll(keys - 1, (k) => ` + w${q}_${k + 1} * k${k + 1}_${d}`) + `;\n`)) +
    `  }\n` +
    unroll(queries, (q) =>
      `  if (live && q0 + ${q}u < ${T}u) {\n` +
      unroll(D, (d) => `    store_dqkv(first_row + query${q}, qcol + ${d}u, o${q}_${d} * ${scale});\n`) +
      `    store_delta(head_row * ${T}u + query${q}, 0u, vec4f(lse${q}, delta${q}, 0.0, 0.0));\n  }\n`);
  return {
    ...perBlock(options, options, Math.ceil(T / queries), true, body),
    flops: 6 * hd * B * H * causalPairs(T),
    bytes: 6 * 16 * B * T * H * D + 2 * 16 * B * H * T,
  };
}

/**
 * dK and dV kernel. Reads `qkv` [B*T, 3*H*D], `dy` [B*T, H*D], `delta` [B*H*T, 1]; writes columns [H*D, 3*H*D)
 * of `dqkv`.
 *
 * @throws RangeError when a size or tile is not a positive integer
 */
export function backwardKeys(options: BackwardOptions): AttentionKernel {
  const { B, T, H, hd, queries, keys } = options;
  const D = headColumns(hd);
  const scale = 1 / Math.sqrt(hd);
  const keyRow = (k: number) => T % keys === 0 ? `k0 + ${k}u` : `min(k0 + ${k}u, ${T - 1}u)`;
  const exact = T % queries === 0 && keys % queries === 0; // steps of `queries` from k0 then end at T
  const queryRow = (q: number) => exact ? `i + ${q}u` : `min(i + ${q}u, ${T - 1}u)`;
  const visible = (q: number, k: number) =>
    `i + ${q}u >= k0 + ${k}u` + (exact ? "" : ` && i + ${q}u < ${T}u`);
  const body = `  let k0 = block * ${keys}u;
  let qcol = h * ${D}u;
  let kcol = (${H}u + h) * ${D}u;
  let vcol = (${2 * H}u + h) * ${D}u;
` +
    unroll(keys, (k) =>
      `  let key${k} = ${keyRow(k)};\n` +
      unroll(D, (d) =>
        `  let k${k}_${d} = load_qkv(first_row + key${k}, kcol + ${d}u) * ${scale * Math.LOG2E};\n` +
        `  let v${k}_${d} = load_qkv(first_row + key${k}, vcol + ${d}u);\n` +
        `  var x${k}_${d} = vec4f(0.0);\n  var z${k}_${d} = vec4f(0.0);\n`)) +
    `  for (var i = k0; i < ${T}u; i += ${queries}u) {\n` +
    unroll(queries, (q) =>
      `    let query${q} = ${queryRow(q)};\n    let row${q} = first_row + query${q};\n` +
      `    let stats${q} = load_delta(head_row * ${T}u + query${q}, 0u);\n`) +
    unroll(queries, (q) => unroll(keys, (k) => `    var s${q}_${k} = 0.0;\n    var t${q}_${k} = 0.0;\n`)) +
    unroll(D, (d) =>
      unroll(queries, (q) =>
        `    let q${q}_${d} = load_qkv(row${q}, qcol + ${d}u);\n` +
        `    let g${q}_${d} = load_dy(row${q}, qcol + ${d}u);\n` +
        unroll(keys, (k) =>
          `    s${q}_${k} += dot(k${k}_${d}, q${q}_${d});\n` +
          `    t${q}_${k} += dot(v${k}_${d}, g${q}_${d});\n`))) +
    unroll(
      queries,
      (q) =>
        unroll(
          keys,
          (k) =>
            `    let p${q}_${k} = select(0.0, exp2(s${q}_${k} - stats${q}.x), ${visible(q, k)});\n` +
            `    let w${q}_${k} = p${q}_${k} * (t${q}_${k} - stats${q}.y);\n`,
        ),
    ) +
    unroll(D, (d) =>
      unroll(keys, (k) =>
        `    x${k}_${d} += w0_${k} * q0_${d}` +
        unroll(queries - 1, (q) => ` + w${q + 1}_${k} * q${q + 1}_${d}`) +
        `;\n    z${k}_${d} += p0_${k} * g0_${d}` +
        unroll(queries - 1, (q) => ` + p${q + 1}_${k} * g${q + 1}_${d}`) + `;\n`)) +
    `  }\n` +
    unroll(keys, (k) =>
      `  if (live && k0 + ${k}u < ${T}u) {\n` +
      unroll(D, (d) =>
        `    store_dqkv(first_row + key${k}, kcol + ${d}u, x${k}_${d} * ${scale});\n` +
        `    store_dqkv(first_row + key${k}, vcol + ${d}u, z${k}_${d});\n`) +
      `  }\n`);
  return {
    ...perBlock(options, options, Math.ceil(T / keys), false, body),
    flops: 8 * hd * B * H * causalPairs(T),
    bytes: 6 * 16 * B * T * H * D + 16 * B * H * T,
  };
}
