// The gradient of one query's scores, with P its weights and G the gradient of them: SCALE * P * (G - sum(P * G)); 0 where P is.
// Dropout's factors stand on G.
// weights, dweights, dscores: [B * H * T, T]

@compute @workgroup_size(WORKGROUP) fn main(BUILTINS) {
PLACE
  let i = row % T;
  let head_row = row / T;
  var sums = 0.0;
  for (var col = lane; col <= i / 4u; col += LANES) {
    sums += dot(load_weights(row, col), masked(row, col, head_row, i));
  }
  let mean = row_sum(vec4f(sums, 0.0, 0.0, 0.0), lane).x;
  for (var col = lane; col < COLS; col += LANES) {
    var result = vec4f(0.0);
    if (col <= i / 4u) {
      result = SCALE * load_weights(row, col) * (masked(row, col, head_row, i) - mean);
    }
    store_dscores(row, col, result);
  }
}
