// Products of rows, for every head apart: out[i, j] = a[i] · b[j] for all j that i may see; the rest is not written. An
// invocation takes four rows of a and one vec4 of columns, four rows of b.
// a: [B * T, …] from column A_FIRST on, heads of a   b: [B * T, …] from B_FIRST on, H_KV heads   out: [B * H * T, T]

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  let head_row = row / BLOCKS;
  let i0 = row % BLOCKS * 4u;
  let j0 = col * 4u;
  if (j0 > i0 + 3u) { return; }
  let h = head_row % H;
  let first_row = head_row / H * T;
  let a_col = A_FIRST + h * D;
  let b_col = B_FIRST + h / GROUP * D;
  let i = min(vec4u(i0) + vec4u(0u, 1u, 2u, 3u), vec4u(T - 1u));
  let j = min(vec4u(j0) + vec4u(0u, 1u, 2u, 3u), vec4u(T - 1u));
  var s0 = vec4f(0.0);
  var s1 = vec4f(0.0);
  var s2 = vec4f(0.0);
  var s3 = vec4f(0.0);
  for (var d = 0u; d < D; d++) {
    let b0 = load_b(first_row + j.x, b_col + d);
    let b1 = load_b(first_row + j.y, b_col + d);
    let b2 = load_b(first_row + j.z, b_col + d);
    let b3 = load_b(first_row + j.w, b_col + d);
    let a0 = load_a(first_row + i.x, a_col + d);
    let a1 = load_a(first_row + i.y, a_col + d);
    let a2 = load_a(first_row + i.z, a_col + d);
    let a3 = load_a(first_row + i.w, a_col + d);
    s0 += vec4f(dot(a0, b0), dot(a0, b1), dot(a0, b2), dot(a0, b3));
    s1 += vec4f(dot(a1, b0), dot(a1, b1), dot(a1, b2), dot(a1, b3));
    s2 += vec4f(dot(a2, b0), dot(a2, b1), dot(a2, b2), dot(a2, b3));
    s3 += vec4f(dot(a3, b0), dot(a3, b1), dot(a3, b2), dot(a3, b3));
  }
  let at = head_row * T + i0;
  store_out(at, col, s0);
  if (i0 + 1u < T) { store_out(at + 1u, col, s1); }
  if (i0 + 2u < T) { store_out(at + 2u, col, s2); }
  if (i0 + 3u < T) { store_out(at + 3u, col, s3); }
}
