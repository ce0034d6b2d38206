/**
 * Causal flash attention, forward: y = softmax(q k^T / sqrt(hd)) v without ever holding a [T, T] matrix.
 *
 * Each invocation owns a few query rows in registers and runs over the keys with the online softmax of
 * FlashAttention (Dao et al. 2022). Scores are kept in base 2, which saves a multiplication per exponential.
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

/** Options of `forward`. */
export type ForwardOptions = AttentionShape & AttentionTiles & {
  /** Whether to store the row statistics that the backward kernels need. */
  stats: boolean;
};

/** What `onlineSoftmaxStep` needs to know about its surroundings; each function returns a WGSL expression. */
type SoftmaxStep = {
  queries: number;
  keys: number;
  D: number;
  loadKey: (k: number, d: number) => string;
  loadValue: (k: number, d: number) => string;
  /** Whether query `q` may see key `k`. */
  visible: (q: number, k: number) => string;
};

/**
 * Text that takes the next `keys` keys into the running maximum `m`, sum `l` and output `o` of each owned
 * query.
 */
export function onlineSoftmaxStep({ queries, keys, D, loadKey, loadValue, visible }: SoftmaxStep): string {
  const each = (name: string, q: number) => Array.from({ length: keys }, (_, k) => `${name}${q}_${k}`);
  return unroll(queries, (q) => unroll(keys, (k) => `    var s${q}_${k} = 0.0;\n`)) +
    unroll(D, (d) =>
      unroll(keys, (k) =>
        `    let k${k}_${d} = ${loadKey(k, d)};\n` +
        unroll(queries, (q) => `    s${q}_${k} += dot(q${q}_${d}, k${k}_${d});\n`))) +
    unroll(
      queries,
      (q) =>
        unroll(keys, (k) => `    s${q}_${k} = select(-1e30, s${q}_${k}, ${visible(q, k)});\n`) +
        `    let n${q} = max(m${q}, ${each("s", q).reduce((a, b) => `max(${a}, ${b})`)});\n` +
        `    let r${q} = exp2(m${q} - n${q});\n    m${q} = n${q};\n` +
        unroll(keys, (k) => `    let p${q}_${k} = exp2(s${q}_${k} - n${q});\n`) +
        `    l${q} = l${q} * r${q} + (${each("p", q).join(" + ")});\n`,
    ) +
    unroll(D, (d) =>
      unroll(keys, (k) => `    let v${k}_${d} = ${loadValue(k, d)};\n`) +
      unroll(queries, (q) =>
        `    o${q}_${d} = o${q}_${d} * r${q}${unroll(keys, (k) => ` + p${q}_${k} * v${k}_${d}`)};\n`));
}

/**
 * Forward kernel. Reads `qkv` [B*T, 3*H*D]; writes `y` [B*T, H*D] and, with `stats`, `stats` [B*H*T, 1] as
 * (log2 of the sum of exponentials of the row's scores, 0, 0, 0).
 *
 * @throws RangeError when a size or tile is not a positive integer
 */
export function forward(options: ForwardOptions): AttentionKernel {
  const { B, T, H, hd, queries, keys, stats } = options;
  const D = headColumns(hd);
  const scale = Math.LOG2E / Math.sqrt(hd);
  const queryRow = (q: number) => T % queries === 0 ? `q0 + ${q}u` : `min(q0 + ${q}u, ${T - 1}u)`;
  const keyRow = (k: number) => T % keys === 0 ? `j + ${k}u` : `min(j + ${k}u, ${T - 1}u)`;
  const body = `  let q0 = block * ${queries}u;
  let last = min(q0 + ${queries - 1}u, ${T - 1}u);
  let kcol = (${H}u + h) * ${D}u;
  let vcol = (${2 * H}u + h) * ${D}u;
` +
    unroll(queries, (q) =>
      `  var m${q} = -1e30;\n  var l${q} = 0.0;\n` +
      unroll(D, (d) =>
        `  let q${q}_${d} = load_qkv(first_row + ${queryRow(q)}, h * ${D}u + ${d}u) * ${scale};\n` +
        `  var o${q}_${d} = vec4f(0.0);\n`)) +
    `  for (var j = 0u; j <= last; j += ${keys}u) {\n` +
    unroll(keys, (k) => `    let row${k} = first_row + ${keyRow(k)};\n`) +
    onlineSoftmaxStep({
      queries,
      keys,
      D,
      loadKey: (k, d) => `load_qkv(row${k}, kcol + ${d}u)`,
      loadValue: (k, d) => `load_qkv(row${k}, vcol + ${d}u)`,
      visible: (q, k) => `j + ${k}u <= q0 + ${q}u`,
    }) +
    `  }\n` +
    unroll(queries, (q) =>
      `  if (live && q0 + ${q}u < ${T}u) {\n    let norm${q} = 1.0 / l${q};\n` +
      unroll(D, (d) => `    store_y(first_row + q0 + ${q}u, h * ${D}u + ${d}u, o${q}_${d} * norm${q});\n`) +
      (stats
        ? `    store_stats(head_row * ${T}u + q0 + ${q}u, 0u, vec4f(m${q} + log2(l${q}), 0.0, 0.0, 0.0));\n`
        : "") +
      `  }\n`);
  return {
    ...perBlock(options, options, Math.ceil(T / queries), true, body),
    flops: 4 * hd * B * H * causalPairs(T),
    bytes: 4 * 16 * B * T * H * D + (stats ? 16 * B * H * T : 0),
  };
}
