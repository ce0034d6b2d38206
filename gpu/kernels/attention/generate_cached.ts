/**
 * Attention over a key-value cache, for generation: one kernel appends the new tokens' keys and values, one attends.
 *
 * The caches hold [B*T_max, H_kv*D] vec4s; the new tokens stand at `step.position` onwards, a uniform that the caller
 * declares. Rows that were never appended are never read.
 */

import { type KeyWalk, onlineSoftmaxStep, type SoftmaxStep, startSoftmax } from "./generate_forward.ts";
import {
  type AttentionKernel,
  type AttentionTiles,
  foldWorkgroups,
  headColumns,
  perBlock,
  requirePositive,
  unroll,
} from "./generate_text.ts";
import { type AttentionPattern, FALL, keyHeads, patternFunctions, seenCount, sparseLoop } from "./pattern.ts";

/** Shape of one step of generation. */
export type CachedShape = AttentionPattern & {
  /** Sequences in the batch. */
  B: number;
  /** New tokens of each sequence. */
  N: number;
  /** Tokens that the cache holds of each sequence. */
  T_max: number;
  /** Heads of queries. */
  H: number;
  /** True width of a head. */
  hd: number;
  /** Sequences that the caches hold, all of which get the tokens of the only one (B is 1). @default B */
  copies?: number | undefined;
};

/** Which form attends over the cache, with its tiles. */
export type CachedChoice =
  | { form: "tile" } & AttentionTiles
  | { form: "split"; keys: number; workgroup: number };

/** `cachedTile` or `cachedSplit`, as chosen. */
export function cachedAttention(shape: CachedShape, choice: CachedChoice): AttentionKernel {
  return choice.form === "tile" ? cachedTile({ ...shape, ...choice }) : cachedSplit({ ...shape, ...choice });
}

/**
 * Append kernel. Reads `qkv` [B*N, (H + 2*H_kv)*D]; writes rows b*T_max + step.position + n of `k_cache` and `v_cache`
 * [B*T_max, H_kv*D], with copies of as many sequences. Tokens beyond T_max are dropped.
 *
 * @throws RangeError when a size is not a positive integer
 */
export function cachedAppend(options: CachedShape & { workgroup: number }): AttentionKernel {
  const { B, N, T_max, H, hd, workgroup, copies = B } = options;
  requirePositive({ B, N, T_max, H, hd, workgroup, copies });
  if (copies !== B && B !== 1) throw new RangeError("attention: copies are of one sequence");
  const [first, cols] = [H * headColumns(hd), keyHeads(options) * headColumns(hd)];
  const total = copies * N * cols;
  const source = copies === B ? "row" : `row % ${N}u`;
  const workgroups = foldWorkgroups(Math.ceil(total / workgroup));
  const code = `
@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let id = (wg.y * ${workgroups.x}u + wg.x) * ${workgroup}u + lane;
  let row = id / ${cols}u;
  let col = id % ${cols}u;
  let t = step.position + row % ${N}u;
  if (id < ${total}u && t < ${T_max}u) {
    let to = row / ${N}u * ${T_max}u + t;
    store_k_cache(to, col, load_qkv(${source}, ${first}u + col));
    store_v_cache(to, col, load_qkv(${source}, ${first + cols}u + col));
  }
}
`;
  return { code, workgroups, flops: 0, bytes: 4 * 16 * total };
}

/**
 * Attention for many new tokens (a prompt): each invocation owns a few of them and runs over the cache. Reads `qkv`
 * [B*N, (H + 2*H_kv)*D] for the queries, `k_cache` and `v_cache` [B*T_max, H_kv*D] after `cachedAppend`; writes `y` [B*N, H*D].
 *
 * @throws RangeError when a size or tile is not a positive integer
 */
export function cachedTile(options: CachedShape & AttentionTiles): AttentionKernel {
  const { B, N, T_max, H, hd, queries, keys, alibi, sparse } = options;
  requirePositive({ T_max });
  if (sparse !== undefined && queries !== 1) {
    throw new RangeError("attention: sparse kernels own one query an invocation");
  }
  const D = headColumns(hd);
  let body = `  let q0 = block * ${queries}u;
  let last = min(step.position + min(q0 + ${queries - 1}u, ${N - 1}u), ${T_max - 1}u);
  let first_cached = (head_row / ${H}u) * ${T_max}u;
${cacheColumns(options, D)}`;
  for (let q = 0; q < queries; q++) {
    body += `  let row_q${q} = first_row + min(q0 + ${q}u, ${N - 1}u);\n`;
    body += `  let seen${q} = step.position + q0 + ${q}u;\n`;
    body += startSoftmax(q, D, hd, `row_q${q}`, "col");
  }
  const walk: KeyWalk = sparse === undefined
    ? {
      loop: `  for (var j = 0u; j <= last; j += ${keys}u) {\n` +
        unroll(keys, (k) => `    let row${k} = first_cached + min(j + ${k}u, last);\n`),
      visible: (q, k) => `j + ${k}u <= min(last, seen${q})`,
      bias: alibi ? (q, k) => `fall * (f32(j + ${k}u) - f32(seen${q}))` : undefined,
    }
    : sparseWalk("min(seen0, last)", keys, alibi);
  body += walk.loop;
  body += onlineSoftmaxStep({ ...walk, queries, keys, D, ...cacheLoads(options) });
  body += `  }\n`;
  for (let q = 0; q < queries; q++) {
    body += `  if (live && q0 + ${q}u < ${N}u) {\n    let norm${q} = 1.0 / l${q};\n`;
    body += unroll(D, (d) => `    store_y(row_q${q}, col + ${d}u, o${q}_${d} * norm${q});\n`);
    body += `  }\n`;
  }
  const shape = { B, T: N, H, hd };
  const { code, workgroups } = perBlock(shape, options, Math.ceil(N / queries), true, body);
  return { code: patternFunctions(options) + code, workgroups, ...cachedCost(options) };
}

/**
 * Attention for a few new tokens (generation): a workgroup owns one query, its invocations take every
 * `workgroup`-th key each, `keys` at a time, and their partial softmaxes are merged in shared memory. Reads and writes
 * what `cachedTile` does.
 *
 * @param options `workgroup` must be a power of two
 * @throws RangeError when a size or tile is not a positive integer
 */
export function cachedSplit(options: CachedShape & { keys: number; workgroup: number }): AttentionKernel {
  const { B, N, T_max, H, hd, keys, workgroup, alibi, sparse } = options;
  requirePositive({ B, N, T_max, H, hd, keys, workgroup });
  if ((workgroup & (workgroup - 1)) !== 0) {
    throw new RangeError(`attention: workgroup must be a power of two, got ${workgroup}`);
  }
  const D = headColumns(hd);
  const half = Math.max(1, workgroup / 2);
  const total = B * H * N;
  const workgroups = foldWorkgroups(total);
  const walk: KeyWalk = sparse === undefined
    ? {
      loop: `  for (var j = lane; j <= last; j += ${keys * workgroup}u) {\n` +
        unroll(keys, (k) => `    let row${k} = first_cached + min(j + ${k * workgroup}u, last);\n`),
      visible: (_, k) => `j + ${k * workgroup}u <= last`,
      bias: alibi ? (_, k) => `fall * (f32(j + ${k * workgroup}u) - f32(last))` : undefined,
    }
    : sparseWalk("last", keys, alibi, { first: "lane", step: workgroup });
  const step = onlineSoftmaxStep({ ...walk, queries: 1, keys, D, ...cacheLoads(options) });
  const code = `${patternFunctions(options)}
var<workgroup> shared_o: array<vec4f, ${half * D}>;
var<workgroup> shared_ml: array<vec2f, ${half}>;

@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let slot = min(wg.y * ${workgroups.x}u + wg.x, ${total - 1}u);
  let h = slot % ${H}u;
  let row = slot / ${H}u;
  let first_cached = row / ${N}u * ${T_max}u;
  let last = min(step.position + row % ${N}u, ${T_max - 1}u);
${cacheColumns(options, D)}${startSoftmax(0, D, hd, "row", "col")}${walk.loop}${step}  }
  for (var s = ${workgroup / 2}u; s > 0u; s = s / 2u) {
    if (lane >= s && lane < 2u * s) {
      shared_ml[lane - s] = vec2f(m0, l0);
${unroll(D, (d) => `      shared_o[(lane - s) * ${D}u + ${d}u] = o0_${d};\n`)}    }
    workgroupBarrier();
    if (lane < s) {
      let other = shared_ml[lane];
      let n = max(m0, other.x);
      let mine = exp2(m0 - n);
      let theirs = exp2(other.x - n);
      m0 = n;
      l0 = l0 * mine + other.y * theirs;
${unroll(D, (d) => `      o0_${d} = o0_${d} * mine + shared_o[lane * ${D}u + ${d}u] * theirs;\n`)}    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    let norm = 1.0 / l0;
${unroll(D, (d) => `    store_y(row, col + ${d}u, o0_${d} * norm);\n`)}  }
}
`;
  return { code, workgroups, ...cachedCost(options) };
}

/** WGSL of the first columns of head `h`: `col` in the queries and the result, `cached` in the caches. */
function cacheColumns(shape: CachedShape, D: number): string {
  const group = shape.H / keyHeads(shape);
  const cached = group === 1 ? "" : `  let cached = h / ${group}u * ${D}u;\n`;
  return `  let col = h * ${D}u;\n${cached}${shape.alibi ? FALL : ""}`;
}

/** How keys and values are read from the caches. */
function cacheLoads(shape: CachedShape): Pick<SoftmaxStep, "loadKey" | "loadValue"> {
  const col = keyHeads(shape) === shape.H ? "col" : "cached";
  return {
    loadKey: (k, d) => `load_k_cache(row${k}, ${col} + ${d}u)`,
    loadValue: (k, d) => `load_v_cache(row${k}, ${col} + ${d}u)`,
  };
}

/** The walk over the cached tokens that the one query at `at` sees, and none other. */
function sparseWalk(
  at: string,
  keys: number,
  alibi: boolean | undefined,
  { first, step }: { first: string; step: number } = { first: "0u", step: 1 },
): KeyWalk {
  return {
    loop: sparseLoop(at, keys, first, step) +
      unroll(keys, (k) => `    let row${k} = first_cached + ${at} - away${k};\n`),
    visible: (_, k) => `n + ${k * step}u < seen_count`,
    bias: alibi ? (_, k) => `fall * -f32(away${k})` : undefined,
  };
}

/** Cost with a full cache. */
function cachedCost(shape: CachedShape): { flops: number; bytes: number } {
  const { B, N, T_max, H, hd, sparse } = shape;
  const seen = seenCount(sparse, T_max - 1);
  const cols = 2 * N * H + 2 * seen * keyHeads(shape);
  return { flops: 4 * hd * B * H * N * seen, bytes: 16 * headColumns(hd) * B * cols };
}
