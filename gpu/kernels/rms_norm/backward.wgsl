// RMSNorm backward, input: with h = dy * gamma and n = x * rstd, dx = rstd * (h - n * mean(h * n)), the mean over the C true
// columns (Zhang & Sennrich 2019). Padding holds zeros in x and gamma, and so in dx.
// x, dy, dx: [M, C]   gamma: [1, C]   stats: [M] of (0, rstd, 0, 0)

@compute @workgroup_size(WORKGROUP) fn main(BUILTINS) {
PLACE
  let rstd = load_stats(row, 0u).y;
  var sum = 0.0;
  for (var col = lane; col < COLS; col += LANES) {
    sum += dot(load_dy(row, col) * load_gamma(0u, col), load_x(row, col) * rstd);
  }
  let mean = row_sum(vec4f(sum, 0.0, 0.0, 0.0), lane).x / f32(C);
  for (var col = lane; col < COLS; col += LANES) {
    let h = load_dy(row, col) * load_gamma(0u, col);
    finish(row, col, rstd * (h - load_x(row, col) * rstd * mean));
  }
}
