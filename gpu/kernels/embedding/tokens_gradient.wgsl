// Gradient of wte: row v gets the sum of dx over the places where token v stands. No atomics: `index` lists the places
// sorted by token (see token_index.ts), one invocation sums one token's places in order.
// index: [1 + B * T + B * T + 1] = number of distinct tokens, places, starts   dx: [B * T, C]   dwte: [V, C]

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  if (row >= index[0]) { return; }
  let first = index[1u + ROWS + row];
  let end = index[2u + ROWS + row];
  var sum = vec4f(0.0);
  for (var i = first; i < end; i++) { sum += load_dx(index[1u + i], col); }
  store_dwte(tokens[index[1u + first]], col, sum);
}
