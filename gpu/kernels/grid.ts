/** Grids of invocations over rows × vec4 columns, folded where a dimension would pass WebGPU's 65,535 workgroups. */

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

/** WGSL that sets `index` for `lineGrid` and returns beyond `count`; needs the builtins gid and workgroup size `size`. */
export function linePlace(count: number, size: number): string {
  return `  let index = gid.x + gid.y * ${FOLD * size}u;
  if (index >= ${count}u) { return; }
`;
}
