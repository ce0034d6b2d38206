// What a matrix is multiplied with to have the Frobenius norm 1: 1 / (norm + 1e-7).
// partial: [COUNT] sums of squares   inverse: [1]

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64) fn main(@builtin(local_invocation_id) lid: vec3u) {
  var sum = 0.0;
  for (var i = lid.x; i < COUNT; i += 64u) { sum += partial[i]; }
  sums[lid.x] = sum;
  workgroupBarrier();
  if (lid.x == 0u) {
    var total = 0.0;
    for (var i = 0u; i < 64u; i++) { total += sums[i]; }
    inverse[0] = 1.0 / (sqrt(total) + 1e-7);
  }
}
