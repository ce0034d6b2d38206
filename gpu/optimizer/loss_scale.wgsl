// The second stage of clipping (see clip.wgsl) where gradients are multiplied by a loss scale: the update divides by it, and it
// is halved after a gradient that is not finite, doubled after GROWTH_INTERVAL that were. Powers of two, so nothing is rounded.
// partial: [COUNT]   clip: [factor / scale, 1 if finite]   norms, scales: [ring]   loss_scale: [scale, steps since it changed]

@compute @workgroup_size(64) fn main(@builtin(local_invocation_id) lid: vec3u) {
  let total = total_of_partial(lid.x);
  if (lid.x == 0u) {
    let scale = loss_scale[0];
    let norm = sqrt(total) / scale;
    let finite = (bitcast<u32>(total) & 0x7f800000u) != 0x7f800000u;
    var factor = 1.0;
    if (MAX_NORM > 0.0) { factor = min(1.0, MAX_NORM / (norm + 1e-6)); }
    clip[0] = factor / scale;
    clip[1] = select(0.0, 1.0, finite);
    norms[step.slot] = norm;
    scales[step.slot] = scale;
    let steps = select(0.0, loss_scale[1] + 1.0, finite);
    let grows = steps >= GROWTH_INTERVAL;
    loss_scale[0] = select(0.5, select(1.0, 2.0, grows), finite) * scale;
    loss_scale[1] = select(steps, 0.0, grows);
  }
}
