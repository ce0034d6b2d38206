// AdamW with moments in 8 bits (Dettmers et al. 2021) over a range of one chunk of parameters, a workgroup for a block of 256
// numbers, g = gradient * clip factor:
//   m = b1 scale_m values(codes_m) + (1 - b1) g;  v = b2 scale_v values(codes_v) + (1 - b2) g^2
//   p = p (1 - lr * decay) - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//   scale_m = max |m| and scale_v = max v over the block;  codes = those of the levels nearest to m / scale_m, v / scale_v
// A step whose gradient norm is not finite changes nothing. A scale too small to divide by counts as 0, and all codes then.
// value, gradient: [64 BLOCKS] of vec4f   exp_avg, exp_avg_sq: [64 BLOCKS] of 4 codes   …_absmax: [BLOCKS]
// clip: [factor, 1 if finite]

const LEAST: f32 = 1e-37;

var<workgroup> most: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = wid.x + wid.y * ROW;
  if (block >= BLOCKS || clip[1] == 0.0) { return; }
  let index = block * 64u + lane;
  let g = gradient[index] * clip[0];
  let m = BETA1 * exp_avg_absmax[block] * signed_values(unpack(exp_avg[index])) + BETA1_REST * g;
  let v = BETA2 * exp_avg_sq_absmax[block] * unsigned_values(unpack(exp_avg_sq[index])) + BETA2_REST * g * g;
  let deviation = sqrt(v) / sqrt(step.correction2) + EPSILON;
  value[index] = value[index] * (1.0 - step.learning_rate * DECAY)
    - step.learning_rate / step.correction1 * m / deviation;

  let size = abs(m);
  most[lane] = vec2f(max(max(size.x, size.y), max(size.z, size.w)), max(max(v.x, v.y), max(v.z, v.w)));
  workgroupBarrier();
  var largest = vec2f(0.0);
  for (var i = 0u; i < 64u; i++) { largest = max(largest, most[i]); }
  let scale = select(vec2f(0.0), largest, largest > vec2f(LEAST));
  let inverse = select(vec2f(0.0), 1.0 / largest, largest > vec2f(LEAST));
  exp_avg[index] = pack(signed_codes(m * inverse.x));
  exp_avg_sq[index] = pack(unsigned_codes(v * inverse.y));
  if (lane == 0u) {
    exp_avg_absmax[block] = scale.x;
    exp_avg_sq_absmax[block] = scale.y;
  }
}
