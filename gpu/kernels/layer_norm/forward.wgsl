// LayerNorm forward: y = (x - mean) / sqrt(variance + EPSILON) * gamma + beta (if there is one), over the C true columns of each row.
// x, y: [M, C]   gamma, beta: [1, C]   stats: [M] of (mean, 1 / deviation, 0, 0) for the backward pass

fn inside(col: u32) -> vec4f { // 1 in true columns, 0 in padding
  return select(vec4f(0.0), vec4f(1.0), vec4u(4u * col) + vec4u(0u, 1u, 2u, 3u) < vec4u(C));
}

@compute @workgroup_size(WORKGROUP) fn main(BUILTINS) {
PLACE
  var sum = vec4f(0.0);
  for (var col = lane; col < COLS; col += LANES) { sum += load_x(row, col); }
  let total = row_sum(sum, lane);
  let mean = (total.x + total.y + total.z + total.w) / f32(C);

  var squares = vec4f(0.0);
  for (var col = lane; col < COLS; col += LANES) {
    let d = (load_x(row, col) - mean) * inside(col);
    squares += d * d;
  }
  let spread = row_sum(squares, lane);
  let rstd = 1.0 / sqrt((spread.x + spread.y + spread.z + spread.w) / f32(C) + EPSILON);

  for (var col = lane; col < COLS; col += LANES) {
    store_y(row, col, (load_x(row, col) - mean) * rstd * load_gamma(0u, col)PLUS_BETA);
  }
  KEEP_STATS
}
