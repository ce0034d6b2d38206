// The second stage of a sum: the total of partial [COUNT], in a fixed order, by a workgroup of 64. Lane 0 gets it.

var<workgroup> sums: array<f32, 64>;

fn total_of_partial(lane: u32) -> f32 {
  var sum = 0.0;
  for (var i = lane; i < COUNT; i += 64u) { sum += partial[i]; }
  sums[lane] = sum;
  workgroupBarrier();
  var total = 0.0;
  if (lane == 0u) {
    for (var i = 0u; i < 64u; i++) { total += sums[i]; }
  }
  return total;
}
