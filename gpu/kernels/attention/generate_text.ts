/**
 * What the attention generators share: shapes, tiles, the numbering of invocations, unrolled text.
 *
 * Leaves out how tensors are stored: every tensor is reached through `load_NAME(row, col)` and
 * `store_NAME(row, col, value)`, with columns counted in vec4s, which the caller declares.
 */

import type { AttentionPattern } from "./pattern.ts";

/** Shape of one attention call: `qkv` is [B*T, (H + 2*H_kv)*D] vec4s, D = ceil(hd / 4). */
export type AttentionShape = AttentionPattern & {
  /** Sequences in the batch. */
  B: number;
  /** Tokens of a sequence. */
  T: number;
  /** Heads of queries. */
  H: number;
  /** True width of a head; lanes that pad it to a multiple of 4 hold zero. */
  hd: number;
};

/** How the work of one kernel is cut up; any combination is correct, some are fast. */
export type AttentionTiles = {
  /** Query rows that one invocation owns (dK/dV: query rows it reads at a time). */
  queries: number;
  /** Key rows that one invocation reads at a time (dK/dV: key rows it owns). */
  keys: number;
  /** Invocations of a workgroup. */
  workgroup: number;
  /**
   * Neighbouring invocations that take the same block of as many different heads, counted over B*H; 1 puts
   * the blocks of one head side by side, B*H puts all heads of a block side by side.
   */
  heads: number;
};

/** A kernel's text (entry point `main`), its dispatch, and what it costs at least. */
export type AttentionKernel = {
  /** WGSL without the declarations of tensors and uniforms. */
  code: string;
  /** Arguments of `dispatchWorkgroups`. */
  workgroups: { x: number; y: number; z: number };
  /** Floating-point operations, counting only pairs that are not masked. */
  flops: number;
  /** Bytes read and written when every operand moves once. */
  bytes: number;
};

/** Width of a head in vec4s. */
export const headColumns = (hd: number): number => Math.ceil(hd / 4);

/** Text of `part(0)`, `part(1)`, … `part(count - 1)`. */
export function unroll(count: number, part: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => part(index)).join("");
}

/** Text of `part(i, j)` for every i of `rows` and j of `columns`, row by row. */
export function unroll2(rows: number, columns: number, part: (i: number, j: number) => string): string {
  return unroll(rows, (i) => unroll(columns, (j) => part(i, j)));
}

/** `first + index`, held below `T` where the last block would reach beyond it. */
export function rowWithin(first: string, index: number, block: number, T: number): string {
  return T % block === 0 ? `${first} + ${index}u` : `min(${first} + ${index}u, ${T - 1}u)`;
}

/**
 * Checks values by name.
 *
 * @throws RangeError when one of them is not a positive integer
 */
export function requirePositive(values: Record<string, number>): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`attention: ${name} must be a positive integer, got ${value}`);
    }
  }
}

const maxWorkgroupsPerDimension = 65535;

/** A dispatch of at least `count` workgroups with no dimension over WebGPU's 65535. */
export function foldWorkgroups(count: number): { x: number; y: number; z: number } {
  const y = Math.ceil(count / maxWorkgroupsPerDimension);
  return { x: Math.ceil(count / y), y, z: 1 };
}

/**
 * Numbers the (sequence, head, block) triples over invocations and wraps `body` into `main`. In `body`:
 * `live` (whether results may be stored), `head_row` (b*H + h), `first_row` (first row of the sequence), `h`, and
 * `block`, which counts from the end when `latestFirst`, so that the longest rows start first.
 *
 * @throws RangeError when a size or tile is not a positive integer
 */
export function perBlock(
  shape: AttentionShape,
  tiles: AttentionTiles,
  blocks: number,
  latestFirst: boolean,
  body: string,
): { code: string; workgroups: { x: number; y: number; z: number } } {
  const { B, T, H, hd } = shape;
  const { queries, keys, workgroup } = tiles;
  requirePositive({ B, T, H, hd, queries, keys, workgroup, heads: tiles.heads });
  const rows = B * H;
  const heads = Math.min(tiles.heads, rows);
  const total = Math.ceil(rows / heads) * heads * blocks;
  const workgroups = foldWorkgroups(Math.ceil(total / workgroup));
  const code = `
@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let id = (wg.y * ${workgroups.x}u + wg.x) * ${workgroup}u + lane;
  let slot = min(id, ${total - 1}u);
  let part = slot / ${heads * blocks}u;
  let inner = slot % ${heads * blocks}u;
  let block = ${latestFirst ? `${blocks - 1}u - ` : ""}inner / ${heads}u;
  let head = part * ${heads}u + inner % ${heads}u;
  let live = id < ${total}u && head < ${rows}u;
  let head_row = min(head, ${rows - 1}u);
  let h = head_row % ${H}u;
  let first_row = (head_row / ${H}u) * ${T}u;
${body}}
`;
  return { code, workgroups };
}
