// Squared norm of a range of gradients, first stage: invocation i adds vec4s i, i + LANES, … in order.
// gradient: [COUNT] of vec4f   partial: [all lanes of all ranges]

@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) gid: vec3u) {
  if (gid.x >= LANES) { return; }
  var sum = vec4f(0.0);
  for (var i = gid.x; i < COUNT; i += LANES) {
    let g = gradient[i];
    sum += g * g;
  }
  partial[FIRST + gid.x] = sum.x + sum.y + sum.z + sum.w;
}
