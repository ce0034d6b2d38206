// The first part of Muon over a range of one chunk of parameters, g = gradient * clip factor:
//   b = momentum * b + g;  p = p (1 - lr * decay)
// A step whose gradient norm is not finite changes nothing.
// value, gradient, momentum_buffer: [COUNT] of vec4f   clip: [factor, 1 if finite]

fn update(index: u32) {
  momentum_buffer[index] = MOMENTUM * momentum_buffer[index] + gradient[index] * clip[0];
  value[index] = value[index] * (1.0 - step.learning_rate * DECAY);
}
