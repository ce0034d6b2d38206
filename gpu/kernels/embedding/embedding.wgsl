// Token and position embedding: x[r] = wte[tokens[r]] + wpe[position + r mod T], or without positions x[r] = wte[tokens[r]].
// tokens: [B * T]   wte: [V, C]   wpe: [n_positions, C]   x: [B * T, C]

@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
PLACE
  finish(row, col, load_wte(tokens[row], col)POSITION);
}
