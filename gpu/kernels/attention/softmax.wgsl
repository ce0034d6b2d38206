// The weights of one query: softmax over the scores of all keys that it sees, times SCALE and with ALiBi's bias; 0 elsewhere.
// scores, weights: [B * H * T, T]

@compute @workgroup_size(WORKGROUP) fn main(BUILTINS) {
PLACE
  let i = row % T;
  let head_row = row / T;
  let h = head_row % H;
  BIAS_START
  var most = vec4f(-1e30);
  for (var col = lane; col <= i / 4u; col += LANES) { most = max(most, score(row, col, i, fall)); }
  let high = row_max(max(max(most.x, most.y), max(most.z, most.w)), lane);
  var sums = vec4f(0.0);
  for (var col = lane; col <= i / 4u; col += LANES) { sums += exp(score(row, col, i, fall) - high); }
  let total4 = row_sum(sums, lane);
  let total = total4.x + total4.y + total4.z + total4.w;
  for (var col = lane; col < COLS; col += LANES) {
    var weights = vec4f(0.0);
    if (col <= i / 4u) { weights = exp(score(row, col, i, fall) - high) / total; }
    store_weights(row, col, weights);
  }
}
