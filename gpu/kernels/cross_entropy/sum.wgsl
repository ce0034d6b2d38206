// The mean loss: SCALE times the sum of all rows' losses, into the ring's place `step.slot`. One workgroup, fixed order.
// row_loss: [M]   losses: [ring]

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64) fn main(@builtin(local_invocation_id) lid: vec3u) {
  var sum = 0.0;
  for (var row = lid.x; row < ROWS; row += 64u) { sum += row_loss[row]; }
  partial[lid.x] = sum;
  workgroupBarrier();
  if (lid.x == 0u) {
    var total = 0.0;
    for (var i = 0u; i < 64u; i++) { total += partial[i]; }
    losses[step.slot] = total * SCALE;
  }
}
