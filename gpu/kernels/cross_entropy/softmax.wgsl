// Cross-entropy of one chunk of rows: loss = log(sum exp(logits)) - logits[target], and its gradient
// (softmax(logits) - onehot(target)) * SCALE. A target of 0xffffffff is ignored: no loss, no gradient.
// logits, dlogits: [R, V] (chunk)   targets, row_loss: [M] (all rows)

fn masked(row: u32, col: u32) -> vec4f { // padding beyond V can never win
  return select(vec4f(-1e30), load_logits(row, col), vec4u(4u * col) + vec4u(0u, 1u, 2u, 3u) < vec4u(V));
}

// log(x) to float32 accuracy where the driver's log is coarser: one Newton step on exp(y) = x.
fn accurate_log(x: f32) -> f32 {
  let y = log(x);
  return y + (x * exp(-y) - 1.0);
}

@compute @workgroup_size(WORKGROUP) fn main(BUILTINS) {
PLACE
  let target_id = targets[view.c_row + row];
  var most = vec4f(-1e30);
  for (var col = lane; col < COLS; col += LANES) { most = max(most, masked(row, col)); }
  let high = row_max(max(max(most.x, most.y), max(most.z, most.w)), lane);
  var sums = vec4f(0.0);
  for (var col = lane; col < COLS; col += LANES) { sums += exp(masked(row, col) - high); }
  let total4 = row_sum(sums, lane);
  let total = total4.x + total4.y + total4.z + total4.w;
  let counts = target_id != 0xffffffffu;
  let id = select(0u, target_id, counts);
  if (lane == 0u) {
    let loss = high + accurate_log(total) - load_logits(row, id / 4u)[id % 4u];
    row_loss[view.c_row + row] = select(0.0, loss, counts);
  }
  GRADIENT
}
