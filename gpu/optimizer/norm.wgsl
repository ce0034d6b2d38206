// Squared norm of a range of numbers, first stage: each workgroup takes a run of SEGMENT vec4s, its invocations every
// LANES-th of them in order, so that neighbours read neighbours.
// gradient: [COUNT] of vec4f   partial: [all invocations of all ranges]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let end = min(COUNT, (wid.x + 1u) * SEGMENT);
  var sum = vec4f(0.0);
  for (var i = wid.x * SEGMENT + lid.x; i < end; i += LANES) {
    let g = gradient[i];
    sum += g * g;
  }
  partial[FIRST + wid.x * LANES + lid.x] = sum.x + sum.y + sum.z + sum.w;
}
