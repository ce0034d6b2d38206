// RMSNorm forward: y = x / sqrt(mean(x²) + EPSILON) * gamma, over the C true columns of each row; padding holds zeros.
// x, y: [M, C]   gamma: [1, C]   stats: [M] of (0, 1 / root mean square, 0, 0) for the backward pass

@compute @workgroup_size(WORKGROUP) fn main(BUILTINS) {
PLACE
  var squares = vec4f(0.0);
  for (var col = lane; col < COLS; col += LANES) {
    let v = load_x(row, col);
    squares += v * v;
  }
  let total = row_sum(squares, lane);
  let rstd = 1.0 / sqrt((total.x + total.y + total.z + total.w) / f32(C) + EPSILON);

  for (var col = lane; col < COLS; col += LANES) {
    store_y(row, col, load_x(row, col) * rstd * load_gamma(0u, col));
  }
  KEEP_STATS
}
