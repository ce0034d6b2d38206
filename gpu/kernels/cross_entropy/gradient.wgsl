  let scale = select(0.0, SCALE FACTOR, counts);
  for (var col = lane; col < COLS; col += LANES) {
    let hit = vec4u(4u * col) + vec4u(0u, 1u, 2u, 3u) == vec4u(id);
    let p = exp(masked(row, col) - high) / total;
    store_dlogits(row, col, (p - select(vec4f(0.0), vec4f(1.0), hit)) * scale);
  }
