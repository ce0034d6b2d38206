/**
 * How kernels that work row by row share a row among invocations. On llvmpipe one invocation takes a row: its vector
 * lanes are rows. On a GPU a workgroup of 64 takes a row and combines through shared memory.
 */

import type { KernelProfile } from "../device.ts";

const GPU_LANES = 64;

/** Lanes of a vector of llvmpipe, which is a subgroup there. */
export function vectorLanes(profile: Exclude<KernelProfile, "gpu">): number {
  return profile === "llvmpipe512" ? 16 : 8;
}

/**
 * WGSL of a function `name(value)` that combines a value over the lanes of a subgroup, all of which get the result.
 *
 * @param combine WGSL of two values combined into one
 */
export function subgroupReduce(
  name: string,
  lanes: number,
  combine: (a: string, b: string) => string,
): string { // by halves: log2(lanes) shuffles
  let steps = "";
  for (let half = lanes / 2; half >= 1; half /= 2) {
    steps += `  v = ${combine("v", `subgroupShuffleXor(v, ${half}u)`)};\n`;
  }
  return `fn ${name}(value: f32) -> f32 {\n  var v = value;\n${steps}  return v;\n}\n`;
}

const FOLD = 32768;

/** Lanes a row, for a profile. */
export function lanesPerRow(profile: KernelProfile): number {
  return profile === "gpu" ? GPU_LANES : 1;
}

/**
 * WGSL that gives a kernel over rows `row`, `lane` and the constant `LANES`, and a function `row_sum` that adds a
 * `vec4f` over the lanes of a row (every lane gets the sum). `place` returns beyond `count` rows.
 */
export function rowLanes(profile: KernelProfile, count: number): {
  declarations: string;
  place: string;
  workgroupSize: number;
  workgroups: [number, number, number];
} {
  if (profile === "gpu") {
    return {
      declarations: `const LANES: u32 = ${GPU_LANES}u;
var<workgroup> row_scratch: array<vec4f, ${GPU_LANES}>;
fn row_sum(v: vec4f, lane: u32) -> vec4f {
  workgroupBarrier();
  row_scratch[lane] = v;
  workgroupBarrier();
  for (var half = ${GPU_LANES / 2}u; half > 0u; half = half / 2u) {
    if (lane < half) { row_scratch[lane] = row_scratch[lane] + row_scratch[lane + half]; }
    workgroupBarrier();
  }
  return row_scratch[0];
}
fn row_max(v: f32, lane: u32) -> f32 {
  workgroupBarrier();
  row_scratch[lane] = vec4f(v);
  workgroupBarrier();
  for (var half = ${GPU_LANES / 2}u; half > 0u; half = half / 2u) {
    if (lane < half) { row_scratch[lane] = max(row_scratch[lane], row_scratch[lane + half]); }
    workgroupBarrier();
  }
  return row_scratch[0].x;
}
`,
      place: `  let row = wid.x + wid.y * ${FOLD}u;
  let lane = lid.x;
  if (row >= ${count}u) { return; }
`,
      workgroupSize: GPU_LANES,
      workgroups: [Math.min(count, FOLD), Math.ceil(count / FOLD), 1],
    };
  }
  return {
    declarations: `const LANES: u32 = 1u;
fn row_sum(v: vec4f, lane: u32) -> vec4f { return v; }
fn row_max(v: f32, lane: u32) -> f32 { return v; }
`,
    place: `  let row = wid.x * 16u + lid.x;
  let lane = 0u;
  if (row >= ${count}u) { return; }
`,
    workgroupSize: 16,
    workgroups: [Math.ceil(count / 16), 1, 1],
  };
}

/** The builtins that `place` needs, as parameters of `main`. */
export const ROW_BUILTINS = "@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_id) lid: vec3u";
