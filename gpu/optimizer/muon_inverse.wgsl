// What a matrix is multiplied with to have the Frobenius norm 1: 1 / (norm + 1e-7).
// partial: [COUNT] sums of squares   inverse: [1]

@compute @workgroup_size(64) fn main(@builtin(local_invocation_id) lid: vec3u) {
  let total = total_of_partial(lid.x);
  if (lid.x == 0u) { inverse[0] = 1.0 / (sqrt(total) + 1e-7); }
}
