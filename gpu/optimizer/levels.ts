/**
 * The levels of 8-bit state: "dynamic tree quantization" (Dettmers 2015, arXiv:1511.04561; Dettmers et al. 2021,
 * arXiv:2110.02861, section 2.2). A code is a number on a scale that is fine where the logarithm of a value is large and
 * still reaches over seven decades:
 *
 *     code bits   [sign] 0…0 1 f…f      value = ± 10^-e · (0.1 + 0.9 · (f + 1/2) / n)
 *
 * e is the number of zeros before the first 1, f the fraction behind it, one of n = 2^(bits of f): so the decade below 1 has
 * 64 levels (128 without a sign), the next one 32, and so on. Of the two codes without a fraction 0 stands for 0, the other
 * for 1. A value is divided by its block's largest absolute value first and gets the code of the nearest level.
 *
 * Codes with a sign: 1 + 127 + 128 with the sign's bit, where 128 is 1 and no -1 exists, as in the paper's own code. Codes
 * without: 0, 1 for the value 1, and 2 to 255. Here one thing is added for them: a value above 0 never becomes 0. A second
 * moment that vanished beside a first one that did not would let the step divide by epsilon alone.
 */

import { floatLiteral } from "../lower.ts";

/** Decades, from 10^0 down to 10^-6. */
const DECADES = 7;

/** WGSL of the codes with or without a sign: `<name>_codes(x)` of four values in [-1, 1], and `<name>_values(codes)`. */
export function levelsWgsl(signed: boolean): string {
  const name = signed ? "signed" : "unsigned";
  const bits = signed ? 6 : 7; // of the fraction in the decade below 1
  const code = signed ? SIGNED_WGSL : UNSIGNED_WGSL;
  return `
fn ${name}_values(codes: vec4u) -> vec4f {
  let i = codes${signed ? " & vec4u(127u)" : ""};
  let zeros = vec4u(${bits}u) - firstLeadingBit(max(i, vec4u(${signed ? 1 : 2}u))); // [0, ${DECADES - 1}]
  let n = vec4f(vec4u(1u) << (vec4u(${bits}u) - zeros));
  let size = decade(zeros) * (0.1 + 0.9 * ((vec4f(i) + 0.5) / n - 1.0));
${code.values}}
fn ${name}_codes(x: vec4f) -> vec4u {
  let a = abs(x);
  var zeros = vec4u(0u);
  var tens = vec4f(1.0);
${
    Array.from({ length: DECADES - 1 }, (_, e) => {
      const below = `a < vec4f(${floatLiteral(lowest(e, bits))})`;
      return `  zeros = select(zeros, vec4u(${e + 1}u), ${below});\n` +
        `  tens = select(tens, vec4f(${10 ** (e + 1)}.0), ${below});\n`;
    }).join("")
  }  let n = vec4u(1u) << (vec4u(${bits}u) - zeros);
  let f = clamp(floor((a * tens - 0.1) / 0.9 * vec4f(n)), vec4f(0.0), vec4f(n) - 1.0);
  let i = n + vec4u(f);
  let is_one = ${signed ? "x" : "a"} > vec4f(${floatLiteral(1 - 0.225 / 2 ** bits)});
${code.codes}}
`;
}

/** Below this value the decade after 10^-e is nearer: halfway between the lowest level of one and the highest of the other. */
function lowest(e: number, bits: number): number {
  const n = 2 ** (bits - e);
  return 10 ** -e * (0.1 + 0.18 / n);
}

const SIGNED_WGSL = {
  values: `  let value = select(vec4f(0.0), size, i > vec4u(0u));
  return select(select(value, -value, codes > vec4u(128u)), vec4f(1.0), codes == vec4u(128u));
`,
  codes: `  let is_zero = a < vec4f(${floatLiteral(10 ** -(DECADES - 1) * 0.275)});
  let code = select(select(i, i + vec4u(128u), x < vec4f(0.0)), vec4u(128u), is_one);
  return select(code, vec4u(0u), is_zero);
`,
};

const UNSIGNED_WGSL = {
  values: `  return select(select(size, vec4f(1.0), codes == vec4u(1u)), vec4f(0.0), codes == vec4u(0u));
`,
  codes: `  return select(select(i, vec4u(1u), is_one), vec4u(0u), a == vec4f(0.0));
`,
};

/** WGSL that both kinds of codes use: 10^-zeros, and four codes to a word and back. */
export const LEVELS_WGSL = `
fn decade(zeros: vec4u) -> vec4f {
  let one = select(vec4f(1.0), vec4f(0.1), (zeros & vec4u(1u)) != vec4u(0u));
  let two = select(vec4f(1.0), vec4f(0.01), (zeros & vec4u(2u)) != vec4u(0u));
  let four = select(vec4f(1.0), vec4f(0.0001), (zeros & vec4u(4u)) != vec4u(0u));
  return one * two * four;
}
fn unpack(word: u32) -> vec4u { return (vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u); }
fn pack(codes: vec4u) -> u32 { return codes.x | codes.y << 8u | codes.z << 16u | codes.w << 24u; }
`;
