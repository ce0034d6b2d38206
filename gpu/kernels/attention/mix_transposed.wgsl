// Weighted sums of rows the other way round: out[j] = sum over i, and over the GROUP heads of queries that share a head of keys,
// of w[i, j] · a[i]. An invocation takes four rows and one vec4 of columns of a head of keys.
// w: [B * H * T, T], 0 where i may not see j   a: [B * T, …], H heads   out: [B * T, …] from column OUT_FIRST on, H_KV heads

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  let sequence = row / BLOCKS;
  let quad = row % BLOCKS;
  var s0 = vec4f(0.0);
  var s1 = vec4f(0.0);
  var s2 = vec4f(0.0);
  var s3 = vec4f(0.0);
  for (var g = 0u; g < GROUP; g++) {
    let h = col / D * GROUP + g;
    for (var i = quad * 4u; i < T; i++) {
      let w = weight(sequence * H + h, i, quad);
      let v = load_a(sequence * T + i, h * D + col % D);
      s0 += w.x * v;
      s1 += w.y * v;
      s2 += w.z * v;
      s3 += w.w * v;
    }
  }
  let at = sequence * T + quad * 4u;
  store_out(at, OUT_FIRST + col, s0);
  if (quad * 4u + 1u < T) { store_out(at + 1u, OUT_FIRST + col, s1); }
  if (quad * 4u + 2u < T) { store_out(at + 2u, OUT_FIRST + col, s2); }
  if (quad * 4u + 3u < T) { store_out(at + 3u, OUT_FIRST + col, s3); }
}
