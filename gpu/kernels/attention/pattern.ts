/**
 * What a query sees, and how: fewer heads of keys than of queries, scores that fall with distance, and keys that are left
 * out. The WGSL that the generators put in for it is made here, and none where attention is plain.
 */

/** Which of the earlier tokens a query sees, beside itself: a window of neighbours, and every `stride`-th token. */
export type Sparsity = {
  /** Tokens that are seen without a gap, the query's own among them. */
  window: number;
  /** Earlier tokens are seen whose distance is a multiple of this (Child et al. 2019, "strided"). */
  stride: number;
};

/** In what attention may differ from that of GPT-2. */
export type AttentionPattern = {
  /**
   * Heads of keys and values; each serves H / H_kv neighbouring heads of queries (Ainslie et al. 2023, "GQA").
   * @default H
   */
  H_kv?: number | undefined;
  /** Whether a score falls by the head's slope with every token of distance (Press et al. 2022). @default false */
  alibi?: boolean | undefined;
  /** @default undefined, every earlier token is seen */
  sparse?: Sparsity | undefined;
};

/** Heads of keys and values. */
export function keyHeads({ H, H_kv = H }: AttentionPattern & { H: number }): number {
  return H_kv;
}

/**
 * WGSL of what head `h` of the queries needs: its first columns in qkv, counted in vec4s, `qcol`, `kcol` and `vcol`; with ALiBi
 * `fall`, its slope.
 */
export function columnsOf(shape: AttentionPattern & { H: number }, D: number): string {
  const { H, alibi = false } = shape;
  const H_kv = keyHeads(shape);
  const key = H_kv === H ? "h" : `h / ${H / H_kv}u`;
  return `  let qcol = h * ${D}u;
  let kcol = (${H}u + ${key}) * ${D}u;
  let vcol = (${H + H_kv}u + ${key}) * ${D}u;
${alibi ? FALL : ""}`;
}

/** WGSL that declares the slope of head `h`. */
export const FALL = "  let fall = slope(h);\n";

/** First distance beyond the window that is a multiple of the stride. */
const firstStride = ({ window, stride }: Sparsity): number => Math.ceil(window / stride) * stride;

/** How many tokens a query sees that has `limit` tokens before it. */
export function seenCount(sparse: Sparsity | undefined, limit: number): number {
  if (sparse === undefined || limit < sparse.window) return limit + 1;
  const first = firstStride(sparse);
  return sparse.window + (limit < first ? 0 : Math.floor((limit - first) / sparse.stride) + 1);
}

/** Query-key pairs of one sequence and head that are not masked. */
export function visiblePairs(T: number, sparse?: Sparsity): number {
  if (sparse === undefined) return (T * (T + 1)) / 2;
  let pairs = 0;
  for (let i = 0; i < T; i++) pairs += seenCount(sparse, i);
  return pairs;
}

/**
 * WGSL functions that kernels of this pattern call: `slope(h)` of ALiBi in base 2, and of sparse attention `seen(limit)`, how
 * many tokens a query sees that has `limit` before it, and `distance_of(n)`, how far away the n-th of them is. The same list read
 * the other way round says which queries see a key.
 *
 * The slopes are 2^(-8/n), 2^(-16/n), … for n heads, n a power of two; heads beyond the largest such n take every other
 * slope of 2n heads, from the first (Press et al. 2022, and their code).
 */
export function patternFunctions({ H, alibi = false, sparse }: AttentionPattern & { H: number }): string {
  let text = "";
  if (alibi) {
    const n = 2 ** Math.floor(Math.log2(H));
    text += `
fn slope(h: u32) -> f32 {
  let exponent = select(f32(2u * (h - ${n}u) + 1u) * ${-4 / n}, f32(h + 1u) * ${-8 / n}, h < ${n}u);
  return exp2(exponent) * ${Math.LOG2E};
}
`;
  }
  if (sparse !== undefined) {
    const { window, stride } = sparse;
    const first = firstStride(sparse);
    text += `
fn seen(limit: u32) -> u32 {
  let strided = ${window}u + select(0u, (limit - ${first}u) / ${stride}u + 1u, limit >= ${first}u);
  return select(strided, limit + 1u, limit < ${window}u);
}
fn distance_of(n: u32) -> u32 { return select(${first}u + (n - ${window}u) * ${stride}u, n, n < ${window}u); }
`;
  }
  return text;
}

/**
 * WGSL of a loop over the tokens that the one query at `at` sees, nearest first, or over the queries that see the one key
 * that has `at` tokens behind it. It declares `away0` … `away{count - 1}`, the distances of those that a trip takes, of which
 * trip `n` is at hand where `n + k * step < seen_count`. The caller closes the loop.
 *
 * @param first of `n`, and `step` from one to the next of a trip: invocations may share a list
 */
export function sparseLoop(at: string, count: number, first = "0u", step = 1): string {
  let text = `  let seen_count = seen(${at});
  for (var n = ${first}; n < seen_count; n += ${count * step}u) {
`;
  for (let k = 0; k < count; k++) {
    text += `    let away${k} = distance_of(min(n + ${k * step}u, seen_count - 1u));\n`;
  }
  return text;
}
