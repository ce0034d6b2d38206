// Gradient of wpe: row t gets the sum of dx over the batch. Rows beyond T get zeros.
// dx: [B * T, C]   dwpe: [n_positions, C]

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  var sum = vec4f(0.0);
  for (var at = row; at < ROWS && row < T; at += T) { sum += load_dx(at, col); }
  store_dwpe(row, col, sum);
}
