// The last part of Muon: p = p - lr * SCALE * O, of the columns of a parameter from vec4 FIRST on.
// weight: the parameter's [rows, pitch] of vec4f   matrix: O, [rows * cols], on its side when rows > cols
// clip: [factor, 1 if finite]: a step whose gradient norm is not finite changes nothing

@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  if (clip[1] == 0.0) { return; }
  let at = place(row, col);
  let o = vec4f(matrix[at.x], matrix[at.y], matrix[at.z], matrix[at.w]);
  store_weight(row, FIRST + col, -step.learning_rate * SCALE * o);
}
