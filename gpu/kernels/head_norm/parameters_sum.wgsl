// The gradients of the gains, second stage: adds the slices in order.
// partial: [SLICES, 2 · D]   dq_gain, dk_gain: [1, D]

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
  let col = gid.x;
  if (col >= D) { return; }
  var dq = vec4f(0.0);
  var dk = vec4f(0.0);
  for (var slice = 0u; slice < SLICES; slice++) {
    dq += load_partial(slice, col);
    dk += load_partial(slice, D + col);
  }
  store_dq_gain(0u, col, dq);
  store_dk_gain(0u, col, dk);
}
