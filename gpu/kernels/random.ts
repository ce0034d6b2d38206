/**
 * Counter-based random numbers on the device: four 32-bit words from four, `pcg4d` of Jarzynski & Olano, "Hash Functions
 * for GPU Rendering" (JCGT 2020). A draw is a pure function of where it is used, so a backward pass, a resumed run or a
 * second machine draws the same.
 */
export const RANDOM_WGSL = `fn random4(key: vec4u) -> vec4u {
  var v = key * 1664525u + 1013904223u;
  v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
  v = v ^ (v >> vec4u(16u));
  v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
  return v;
}
`;
