// The gradients of the gains, first of two stages: an invocation sums dy * x * rstd of one vec4 of the queries' gain or of the
// keys' over their heads and one slice of the rows, in order. The queries' D columns stand before the keys'.
// x, dy: [M, heads · D vec4s]   stats: [M, heads] of (rstd, 0, 0, 0)   partial: [SLICES, 2 · D]

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
  let col = gid.x;
  let slice = gid.y;
  if (col >= 2u * D) { return; }
  let first_head = select(0u, H, col >= D);
  let end_head = select(H, NORMED, col >= D);
  var sum = vec4f(0.0);
  for (var row = slice * SLICE_ROWS; row < min(ROWS, (slice + 1u) * SLICE_ROWS); row++) {
    for (var head = first_head; head < end_head; head++) {
      let at = head * D + col % D;
      sum += load_dy(row, at) * load_x(row, at) * load_stats(row, head).x;
    }
  }
  store_partial(slice, col, sum);
}
