// RMS normalisation of each head of queries and keys: y = x / sqrt(mean(x²) + EPSILON) * gain, over the HD true lanes of the
// head; heads from NORMED on, of values, go through as they are. One invocation takes a head; col counts heads here.
// x, y: [M, heads · D vec4s]   q_gain, k_gain: [1, D]   stats: [M, heads] of (1 / root mean square, 0, 0, 0)

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  let first = col * D;
  var squares = vec4f(0.0);
  for (var d = 0u; d < D; d++) {
    let v = load_x(row, first + d);
    squares += v * v;
  }
  let normed = col < NORMED;
  let mean = (squares.x + squares.y + squares.z + squares.w) / f32(HD);
  let rstd = select(1.0, 1.0 / sqrt(mean + EPSILON), normed);
  for (var d = 0u; d < D; d++) {
    let gain = select(load_k_gain(0u, d), load_q_gain(0u, d), col < H);
    finish(row, first + d, load_x(row, first + d) * rstd * select(vec4f(1.0), gain, normed));
  }
  KEEP_STATS
}
