/**
 * Dropout of attention weights inside the attention kernels: the mask is never stored, forward and backward kernels draw
 * it again, because it is a pure function of (seed, step, site, b*H + h, query, key).
 *
 * The text uses `random4(vec4u) -> vec4u` (four hashed words from four) and the uniforms `step.seed` and `step.index`,
 * which the caller declares.
 */

/** Dropout of one attention call. */
export type AttentionDropout = {
  /** Probability of dropping a weight after the softmax, in [0, 1); 0 leaves no trace in the text. */
  dropout: number;
  /** Number of the place in the model, so that no two places draw the same mask. */
  site: number;
};

/**
 * WGSL of `keep4(head_row, i, quad)`: the factors, 0 or 1 / (1 - dropout), of query `i` on keys 4*quad … 4*quad + 3; each is
 * one word of one hash. Empty without dropout.
 *
 * @param T tokens of a sequence
 * @throws RangeError when `dropout` is not in [0, 1) or `site` no unsigned 32-bit number
 */
export function keepFunction({ dropout, site }: AttentionDropout, T: number): string {
  if (!(dropout >= 0 && dropout < 1)) {
    throw new RangeError(`attention: dropout must be in [0, 1), got ${dropout}`);
  }
  if (dropout === 0) return "";
  if (site >>> 0 !== site) throw new RangeError(`attention: site must be an unsigned number, got ${site}`);
  return `
fn keep4(head_row: u32, i: u32, quad: u32) -> vec4f {
  let key = vec4u(i * ${
    Math.ceil(T / 4)
  }u + quad, head_row, ${site}u, step.index ^ (step.seed * 2654435769u));
  let word = random4(key);
  return select(vec4f(0.0), vec4f(${1 / (1 - dropout)}), word >= vec4u(${Math.round(dropout * 2 ** 32)}u));
}
`;
}

/**
 * Text that declares `NAME0` … `NAME{count - 1}`, the factors of query `i` on keys `j` … `j + count - 1`, with as few
 * hashes as the alignment of `j` (a multiple of `count`) allows.
 */
export function keepFactors(name: string, i: string, j: string, count: number): string {
  const group = count % 4 === 0 ? 4 : count % 2 === 0 ? 2 : 1;
  let text = "";
  for (let k = 0; k < count; k += group) {
    const key = `(${j} + ${k}u)`;
    const quad = `${name}q${k}`;
    text += `    let ${quad} = keep4(head_row, ${i}, ${key} / 4u);\n`;
    if (group === 4) {
      for (let c = 0; c < 4; c++) text += `    let ${name}${k + c} = ${quad}[${c}];\n`;
    } else if (group === 2) {
      text += `    let ${quad}h = select(${quad}.xy, ${quad}.zw, (${key} & 2u) != 0u);\n`;
      for (let c = 0; c < 2; c++) text += `    let ${name}${k + c} = ${quad}h[${c}];\n`;
    } else {
      text += pick(`${name}${k}`, quad, key);
    }
  }
  return text;
}

/** Text that declares `NAME`, the factor of query `i` on key `j`. */
export function keepFactor(name: string, i: string, j: string): string {
  return `    let ${name}quad = keep4(head_row, ${i}, (${j}) / 4u);\n${pick(name, `${name}quad`, `(${j})`)}`;
}

/** Text that takes the word of `key` out of a hash of four. */
function pick(name: string, quad: string, key: string): string {
  return `    let ${quad}h = select(${quad}.xy, ${quad}.zw, (${key} & 2u) != 0u);\n` +
    `    let ${name} = select(${quad}h.x, ${quad}h.y, (${key} & 1u) != 0u);\n`;
}
