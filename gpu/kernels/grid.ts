/** Grids of invocations over rows × vec4 columns, folded where a dimension would pass WebGPU's 65,535 workgroups. */

import type { KernelProfile } from "../device.ts";

const FOLD = 32768;

/** Workgroups for one invocation per (row, col): `size` columns a workgroup, rows along y and z. */
export function matrixGrid(rows: number, cols: number, size: number): [number, number, number] {
  return [Math.ceil(cols / size), Math.min(rows, FOLD), Math.ceil(rows / FOLD)];
}

/** WGSL that sets `row` and `col` for `matrixGrid` and returns outside of the matrix. */
export function matrixPlace(rows: number, cols: number): string {
  return `  let row = gid.y + gid.z * ${FOLD}u;
  let col = gid.x;
  if (row >= ${rows}u || col >= ${cols}u) { return; }
`;
}

/** Workgroups for a line of `count` invocations, `size` a workgroup. */
export function lineGrid(count: number, size: number): [number, number, number] {
  const groups = Math.ceil(count / size);
  return [Math.min(groups, FOLD), Math.ceil(groups / FOLD), 1];
}

/**
 * A line of `count` invocations' work in runs, for kernels that do little for each: an invocation takes one of them, and on a
 * software adapter, where a workgroup costs as much as some hundred instructions, 16 of them one after the other.
 *
 * @returns `size` of a workgroup, the `builtins` of `main`, and WGSL that begins a loop over `index`, which the caller closes
 */
export function lineRuns(
  profile: KernelProfile,
  count: number,
): { size: number; builtins: string; begin: string; workgroups: [number, number, number] } {
  const [size, length] = profile === "gpu" ? [64, 1] : [16, 16];
  const run = size * length;
  return {
    size,
    builtins: "@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_id) lid: vec3u",
    begin: `  let first = (wid.x + wid.y * ${FOLD}u) * ${run}u + lid.x;
  for (var index = first; index < min(${count}u, first + ${run}u); index += ${size}u) {
`,
    workgroups: lineGrid(count, run),
  };
}
