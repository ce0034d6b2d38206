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
 * software adapter, where a workgroup costs as much as some hundred instructions, 16 of them one after the other. There no
 * lane ever stands still, since masks make loads and stores slower.
 *
 * @param count a multiple of 16
 * @param condition WGSL: whether anything is to be done
 * @returns `size` of a workgroup, the `builtins` of `main`, and WGSL that begins a loop over `index`, which the caller closes
 */
export function lineRuns(
  profile: KernelProfile,
  count: number,
  condition: string,
): { size: number; builtins: string; begin: string; workgroups: [number, number, number] } {
  const builtins = "@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_id) lid: vec3u";
  const place = (run: number) => `(wid.x + wid.y * ${FOLD}u) * ${run}u`;
  if (profile === "gpu") {
    const begin = `  let index = ${place(64)} + lid.x;
  if (index < ${count}u && ${condition}) {
`;
    return { size: 64, builtins, begin, workgroups: lineGrid(count, 64) };
  }
  const length = 16;
  const begin = `  let first = ${place(length)};
  let trips = select(0u, min(${length}u, max(first, ${count / 16}u) - first), ${condition});
  for (var trip = 0u; trip < trips; trip++) {
    let index = (first + trip) * 16u + lid.x;
`;
  return { size: 16, builtins, begin, workgroups: lineGrid(count / 16, length) };
}
