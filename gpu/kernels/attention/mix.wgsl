// Weighted sums of rows, for every head apart: out[i] = sum over j of w[i, j] · b[j]. An invocation takes four rows and one
// vec4 of columns of a head.
// w: [B * H * T, T], 0 where i may not see j   b: [B * T, …] from column B_FIRST on, H_KV heads   out: [B * T, …], H heads

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  let sequence = row / BLOCKS;
  let i0 = row % BLOCKS * 4u;
  let head_row = sequence * H + col / D;
  let b_col = B_FIRST + col / D / GROUP * D + col % D;
  let i = min(vec4u(i0) + vec4u(0u, 1u, 2u, 3u), vec4u(T - 1u));
  var s0 = vec4f(0.0);
  var s1 = vec4f(0.0);
  var s2 = vec4f(0.0);
  var s3 = vec4f(0.0);
  for (var quad = 0u; quad <= i.w / 4u; quad++) {
    let j = min(vec4u(quad * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(T - 1u)); // beyond T weights are 0
    let v = mat4x4f(
      load_b(sequence * T + j.x, b_col),
      load_b(sequence * T + j.y, b_col),
      load_b(sequence * T + j.z, b_col),
      load_b(sequence * T + j.w, b_col),
    );
    s0 += v * weight(head_row, i.x, quad);
    s1 += v * weight(head_row, i.y, quad);
    s2 += v * weight(head_row, i.z, quad);
    s3 += v * weight(head_row, i.w, quad);
  }
  let at = sequence * T + i0;
  store_out(at, col, s0);
  if (i0 + 1u < T) { store_out(at + 1u, col, s1); }
  if (i0 + 2u < T) { store_out(at + 2u, col, s2); }
  if (i0 + 3u < T) { store_out(at + 3u, col, s3); }
}
