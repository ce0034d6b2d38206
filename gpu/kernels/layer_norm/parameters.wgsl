// LayerNorm backward, parameters: dgamma = column sums of dy * n, dbeta = column sums of dy, n = (x - mean) * rstd.
// First of two stages: each invocation sums one vec4 column over one slice of the rows, in order.
// x, dy: [M, C]   stats: [M] of (mean, rstd, 0, 0)   partial: [2 * SLICES, C], dgamma's slices first

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
  let col = gid.x;
  let slice = gid.y;
  if (col >= COLS) { return; }
  var dgamma = vec4f(0.0);
  var dbeta = vec4f(0.0);
  for (var row = slice * SLICE_ROWS; row < min(ROWS, (slice + 1u) * SLICE_ROWS); row++) {
    let stats = load_stats(row, 0u);
    let dy = load_dy(row, col);
    dgamma += dy * ((load_x(row, col) - stats.x) * stats.y);
    dbeta += dy;
  }
  store_partial(slice, col, dgamma);
  store_partial(SLICES + slice, col, dbeta);
}
