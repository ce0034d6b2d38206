// The gradient of a head's RMS normalisation: with h = dy * gain and n = x * rstd, dx = rstd * (h - n * mean(h * n)), the mean
// over the HD true lanes; heads of values hand dy on. col counts heads here.
// x, dy, dx: [M, heads · D vec4s]   q_gain, k_gain: [1, D]   stats: [M, heads] of (rstd, 0, 0, 0)

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  let first = col * D;
  let normed = col < NORMED;
  let rstd = load_stats(row, col).x;
  var sum = 0.0;
  for (var d = 0u; d < D; d++) {
    let gain = select(load_k_gain(0u, d), load_q_gain(0u, d), col < H);
    sum += dot(load_dy(row, first + d) * gain, load_x(row, first + d) * rstd);
  }
  let mean = select(0.0, sum / f32(HD), normed);
  for (var d = 0u; d < D; d++) {
    let gain = select(load_k_gain(0u, d), load_q_gain(0u, d), col < H);
    let h = load_dy(row, first + d) * select(vec4f(1.0), gain, normed);
    finish(row, first + d, rstd * (h - load_x(row, first + d) * rstd * mean));
  }
}
