// Lion (Chen et al. 2023, algorithm 2) over a range of one chunk of parameters, g = gradient * clip factor:
//   u = sign(b1 m + (1 - b1) g);  p = p (1 - lr * decay) - lr * u;  m = b2 m + (1 - b2) g
// The weight moves by the mean that weighs the newest gradient more; what is kept remembers longer. sign(0) is 0.
// A step whose gradient norm is not finite changes nothing.
// value, gradient, exp_avg: [COUNT] of vec4f   clip: [factor, 1 if finite]

fn update(index: u32) {
  let g = gradient[index] * clip[0];
  let m = exp_avg[index];
  let direction = sign(BETA1 * m + BETA1_REST * g);
  exp_avg[index] = BETA2 * m + BETA2_REST * g;
  value[index] = value[index] * (1.0 - step.learning_rate * DECAY) - step.learning_rate * direction;
}
