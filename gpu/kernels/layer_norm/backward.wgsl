// LayerNorm backward, input: with h = dy * gamma and n = (x - mean) * rstd,
// dx = rstd * (h - mean(h) - n * mean(h * n)), means over the C true columns (Ba, Kiros & Hinton 2016).
// x, dy, dx: [M, C]   gamma: [1, C]   stats: [M] of (mean, rstd, 0, 0)

fn inside(col: u32) -> vec4f { // 1 in true columns, 0 in padding
  return select(vec4f(0.0), vec4f(1.0), vec4u(4u * col) + vec4u(0u, 1u, 2u, 3u) < vec4u(C));
}

@compute @workgroup_size(WORKGROUP) fn main(BUILTINS) {
PLACE
  let stats = load_stats(row, 0u);
  var sum = vec2f(0.0); // of h, of h * n
  for (var col = lane; col < COLS; col += LANES) {
    let h = load_dy(row, col) * load_gamma(0u, col);
    let n = (load_x(row, col) - stats.x) * stats.y;
    sum += vec2f(dot(h, vec4f(1.0)), dot(h, n));
  }
  let means = row_sum(vec4f(sum, 0.0, 0.0), lane).xy / f32(C);
  for (var col = lane; col < COLS; col += LANES) {
    let h = load_dy(row, col) * load_gamma(0u, col);
    let n = (load_x(row, col) - stats.x) * stats.y;
    finish(row, col, stats.y * (h - means.x - n * means.y) * inside(col));
  }
}
