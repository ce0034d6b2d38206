/**
 * Causal flash attention, forward: y = softmax(q k^T / sqrt(hd)) v without ever holding a [T, T] matrix.
 *
 * Each invocation owns a few query rows in registers and runs over the keys with the online softmax of
 * FlashAttention (Dao et al. 2022). Scores are kept in base 2, which saves a multiplication per exponential.
 */

import { type AttentionDropout, keepFactor, keepFactors, keepFunction } from "./generate_dropout.ts";
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
import { columnsOf, keyHeads, patternFunctions, sparseLoop, visiblePairs } from "./pattern.ts";

/** Options of `forward`. */
export type ForwardOptions = AttentionShape & AttentionTiles & AttentionDropout & {
  /** Whether to store the row statistics that the backward kernels need. */
  stats: boolean;
};

/** What `onlineSoftmaxStep` needs to know about its surroundings; each function returns WGSL. */
export type SoftmaxStep = {
  queries: number;
  keys: number;
  D: number;
  loadKey: (k: number, d: number) => string;
  loadValue: (k: number, d: number) => string;
  /** Whether query `q` may see key `k`. */
  visible: (q: number, k: number) => string;
  /** What ALiBi adds to the score of query `q` on key `k`. */
  bias?: ((q: number, k: number) => string) | undefined;
  /** Statements that declare `keep{q}_{k}`, the dropout factors of query `q`; nothing is dropped without it. */
  keep?: ((q: number) => string) | undefined;
};

/** Text that loads a query, scaled for scores in base 2, and starts its maximum, sum and output. */
export function startSoftmax(q: number, D: number, hd: number, row: string, col: string): string {
  return `  var m${q} = -1e30;\n  var l${q} = 0.0;\n` +
    unroll(
      D,
      (d) =>
        `  let q${q}_${d} = load_qkv(${row}, ${col} + ${d}u) * ${Math.LOG2E / Math.sqrt(hd)};\n` +
        `  var o${q}_${d} = vec4f(0.0);\n`,
    );
}

/**
 * Text that takes the next `keys` keys into the running maximum `m`, sum `l` and output `o` of each owned
 * query.
 */
export function onlineSoftmaxStep(step: SoftmaxStep): string {
  const { queries, keys, D, keep, bias } = step;
  const weight = keep ? "w" : "p";
  let text = unroll2(queries, keys, (q, k) => `    var s${q}_${k} = 0.0;\n`);
  for (let d = 0; d < D; d++) {
    for (let k = 0; k < keys; k++) {
      text += `    let k${k}_${d} = ${step.loadKey(k, d)};\n`;
      text += unroll(queries, (q) => `    s${q}_${k} += dot(q${q}_${d}, k${k}_${d});\n`);
    }
  }
  for (let q = 0; q < queries; q++) {
    const each = (name: string) => Array.from({ length: keys }, (_, k) => `${name}${q}_${k}`);
    const score = (k: number) => `s${q}_${k}${bias ? ` + ${bias(q, k)}` : ""}`;
    text += unroll(keys, (k) => `    s${q}_${k} = select(-1e30, ${score(k)}, ${step.visible(q, k)});\n`);
    text += `    let n${q} = max(m${q}, ${each("s").reduce((a, b) => `max(${a}, ${b})`)});\n`;
    text += `    let r${q} = exp2(m${q} - n${q});\n    m${q} = n${q};\n`;
    text += unroll(keys, (k) => `    let p${q}_${k} = exp2(s${q}_${k} - n${q});\n`);
    text += `    l${q} = l${q} * r${q} + (${each("p").join(" + ")});\n`;
    if (keep) text += keep(q) + unroll(keys, (k) => `    let w${q}_${k} = p${q}_${k} * keep${q}_${k};\n`);
  }
  for (let d = 0; d < D; d++) {
    text += unroll(keys, (k) => `    let v${k}_${d} = ${step.loadValue(k, d)};\n`);
    for (let q = 0; q < queries; q++) {
      const sum = unroll(keys, (k) => ` + ${weight}${q}_${k} * v${k}_${d}`);
      text += `    o${q}_${d} = o${q}_${d} * r${q}${sum};\n`;
    }
  }
  return text;
}

/** How an invocation that owns queries runs over their keys: all that `loop` declares is at hand to the other texts. */
export type KeyWalk = Pick<SoftmaxStep, "visible" | "bias" | "keep"> & {
  /** The loop's beginning, which declares `row0` … `row{keys - 1}`; the caller closes it. */
  loop: string;
};

/**
 * The walk of an invocation that owns `queries` queries from `q0` on: all keys up to the last query, or where attention is
 * sparse those that the one query sees, none other.
 *
 * @throws RangeError when attention is sparse and `queries` is not 1
 */
export function keyWalk(
  { T, queries, keys, alibi, sparse, dropout }: AttentionShape & AttentionTiles & AttentionDropout,
): KeyWalk {
  if (sparse !== undefined) {
    if (queries !== 1) throw new RangeError("attention: sparse kernels own one query an invocation");
    return {
      loop: sparseLoop("q0", keys) + unroll(keys, (k) => `    let row${k} = first_row + q0 - away${k};\n`),
      visible: (_, k) => `n + ${k}u < seen_count`,
      bias: alibi ? (_, k) => `fall * -f32(away${k})` : undefined,
      keep: dropout > 0
        ? () => unroll(keys, (k) => keepFactor(`keep0_${k}`, "q0", `q0 - away${k}`))
        : undefined,
    };
  }
  return {
    loop: `  for (var j = 0u; j <= last; j += ${keys}u) {\n` +
      unroll(keys, (k) => `    let row${k} = first_row + ${rowWithin("j", k, keys, T)};\n`),
    visible: (q, k) => `j + ${k}u <= q0 + ${q}u`,
    bias: alibi ? (q, k) => `fall * (f32(j + ${k}u) - f32(q0 + ${q}u))` : undefined,
    keep: dropout > 0 ? (q) => keepFactors(`keep${q}_`, `q0 + ${q}u`, "j", keys) : undefined,
  };
}

/**
 * Forward kernel. Reads `qkv` [B*T, (H + 2*H_kv)*D]; writes `y` [B*T, H*D] and, with `stats`, `stats` [B*H*T, 1] as
 * (log2 of the sum of exponentials of the row's scores, 0, 0, 0). With dropout the text needs `random4` and
 * `step`.
 *
 * @throws RangeError when a size or tile is not a positive integer, or dropout not in [0, 1)
 */
export function forward(options: ForwardOptions): AttentionKernel {
  const { B, T, H, hd, queries, keys, stats } = options;
  const D = headColumns(hd);
  let body = `  let q0 = block * ${queries}u;
  let last = min(q0 + ${queries - 1}u, ${T - 1}u);
${columnsOf(options, D)}`;
  for (let q = 0; q < queries; q++) {
    body += `  let query${q} = first_row + ${rowWithin("q0", q, queries, T)};\n`;
    body += startSoftmax(q, D, hd, `query${q}`, "qcol");
  }
  const walk = keyWalk(options);
  body += walk.loop;
  body += onlineSoftmaxStep({
    ...walk,
    queries,
    keys,
    D,
    loadKey: (k, d) => `load_qkv(row${k}, kcol + ${d}u)`,
    loadValue: (k, d) => `load_qkv(row${k}, vcol + ${d}u)`,
  });
  body += `  }\n`;
  for (let q = 0; q < queries; q++) {
    body += `  if (live && q0 + ${q}u < ${T}u) {\n    let norm${q} = 1.0 / l${q};\n`;
    body += unroll(D, (d) => `    store_y(query${q}, qcol + ${d}u, o${q}_${d} * norm${q});\n`);
    if (stats) {
      body +=
        `    store_stats(head_row * ${T}u + q0 + ${q}u, 0u, vec4f(m${q} + log2(l${q}), 0.0, 0.0, 0.0));\n`;
    }
    body += `  }\n`;
  }
  const { code, workgroups } = perBlock(options, options, Math.ceil(T / queries), true, body);
  return {
    code: keepFunction(options, T) + patternFunctions(options) + code,
    workgroups,
    flops: 4 * hd * B * H * visiblePairs(T, options.sparse),
    bytes: 2 * 16 * B * T * (H + keyHeads(options)) * D + (stats ? 16 * B * H * T : 0),
  };
}
