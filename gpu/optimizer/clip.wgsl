// Second stage: the global norm and what gradients are multiplied with, min(1, MAX_NORM / (norm + 1e-6)), as
// torch.nn.utils.clip_grad_norm_ does; MAX_NORM 0 does not clip. Finite is decided on bits: compilers fold x != x away.
// partial: [COUNT]   clip: [factor, 1 if finite]   norms: [ring]

@compute @workgroup_size(64) fn main(@builtin(local_invocation_id) lid: vec3u) {
  let total = total_of_partial(lid.x);
  if (lid.x == 0u) {
    let norm = sqrt(total);
    let finite = (bitcast<u32>(total) & 0x7f800000u) != 0x7f800000u;
    var factor = 1.0;
    if (MAX_NORM > 0.0) { factor = min(1.0, MAX_NORM / (norm + 1e-6)); }
    clip[0] = factor;
    clip[1] = select(0.0, 1.0, finite);
    norms[step.slot] = norm;
  }
}
