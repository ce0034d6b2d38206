// AdamW (Loshchilov & Hutter 2019, as PyTorch computes it) over a range of one chunk of parameters:
//   p = p (1 - lr * decay);  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//   p = p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps),   g = gradient * clip factor
// A step whose gradient norm is not finite changes nothing: the trainer stops on it with the weights intact.
// value, gradient, exp_avg, exp_avg_sq: [COUNT] of vec4f   clip: [factor, 1 if finite]

fn update(index: u32) {
  let g = gradient[index] * clip[0];
  let m = BETA1 * exp_avg[index] + BETA1_REST * g;
  let v = BETA2 * exp_avg_sq[index] + BETA2_REST * g * g;
  exp_avg[index] = m;
  exp_avg_sq[index] = v;
  let deviation = sqrt(v) / sqrt(step.correction2) + EPSILON;
  let kept = value[index] * (1.0 - step.learning_rate * DECAY);
  value[index] = kept - step.learning_rate / step.correction1 * m / deviation;
}
