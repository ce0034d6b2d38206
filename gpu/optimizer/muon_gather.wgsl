// What is to be made orthogonal, Nesterov's form of the momentum: gradient * clip factor + momentum * b, of the columns of a
// parameter from vec4 FIRST on.
// gradient, momentum: the parameter's [rows, pitch] of vec4f   matrix: [rows * cols], on its side when rows > cols

@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  let u = load_gradient(row, FIRST + col) * clip[0] + MOMENTUM * load_momentum(row, FIRST + col);
  let at = place(row, col);
  matrix[at.x] = u.x;
  matrix[at.y] = u.y;
  matrix[at.z] = u.z;
  matrix[at.w] = u.w;
}
