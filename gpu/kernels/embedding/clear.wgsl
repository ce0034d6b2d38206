// Zeroes the gradient of wte before the rows of tokens that occur are written.
// dwte: [V, C]

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  store_dwte(row, col, vec4f(0.0));
}
