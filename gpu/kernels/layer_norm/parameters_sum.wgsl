// LayerNorm backward, parameters, second stage: adds the slices in order.
// partial: [2 * SLICES, C]   dgamma, dbeta: [1, C]

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
  let col = gid.x;
  if (col >= COLS) { return; }
  var dgamma = vec4f(0.0);
  var dbeta = vec4f(0.0);
  for (var slice = 0u; slice < SLICES; slice++) {
    dgamma += load_partial(slice, col);
    dbeta += load_partial(SLICES + slice, col);
  }
  store_dgamma(0u, col, dgamma);
  store_dbeta(0u, col, dbeta);
}
