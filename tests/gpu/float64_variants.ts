/** The oracle's part for variants of GPT-2: other norms, rotary positions, ALiBi, sparse attention, other MLPs. */

import type { Numbers } from "./float64.ts";

/** x / √(mean(x²) + epsilon) · gamma of every row of `C` columns. */
export function rmsNorm( // [M, C], [C] -> [M, C]
  { C, epsilon }: { C: number; epsilon: number },
  x: Numbers,
  gamma: Numbers,
): Float64Array {
  const roots = rootMeanSquares(C, epsilon, x);
  return Float64Array.from(x, (v, i) => v / roots[Math.floor(i / C)]! * gamma[i % C]!);
}

function rootMeanSquares(C: number, epsilon: number, x: Numbers): Float64Array { // -> [M]
  const sums = new Float64Array(x.length / C);
  for (let i = 0; i < x.length; i++) sums[Math.floor(i / C)]! += x[i]! ** 2 / C;
  return sums.map((mean) => Math.sqrt(mean + epsilon));
}

/** The gradients of `rmsNorm`: dx_i = gamma_i·dy_i / r - x_i / (C·r³) · Σ_j gamma_j·dy_j·x_j, r the root mean square. */
export function rmsNormBackward(
  { C, epsilon }: { C: number; epsilon: number },
  x: Numbers,
  gamma: Numbers,
  dy: Numbers,
): { dx: Float64Array; dgamma: Float64Array } {
  const roots = rootMeanSquares(C, epsilon, x);
  const [dx, dgamma] = [new Float64Array(x.length), new Float64Array(C)];
  roots.forEach((r, m) => {
    let sum = 0;
    for (let c = 0; c < C; c++) {
      const i = m * C + c;
      sum += gamma[c]! * dy[i]! * x[i]!;
      dgamma[c]! += dy[i]! * x[i]! / r;
    }
    for (let c = 0; c < C; c++) {
      const i = m * C + c;
      dx[i] = gamma[c]! * dy[i]! / r - x[i]! / (C * r ** 3) * sum;
    }
  });
  return { dx, dgamma };
}

/** Heads of queries, keys and values side by side: their numbers and size. */
export interface Heads {
  H: number;
  H_kv: number;
  hd: number;
}

/** Calls `visit` with the rows of one head in `qkv`, as a matrix [M, hd], and a function that puts a matrix back there. */
function eachHead(
  { H, H_kv, hd }: Heads,
  qkv: Numbers, // [M, (H + 2 * H_kv) * hd]
  visit: (head: number, rows: Float64Array, put: (into: Float64Array, values: Numbers) => void) => void,
): void {
  const width = (H + 2 * H_kv) * hd;
  const M = qkv.length / width;
  for (let head = 0; head < H + 2 * H_kv; head++) {
    const place = (i: number) => Math.floor(i / hd) * width + head * hd + i % hd;
    visit(head, Float64Array.from({ length: M * hd }, (_, i) => qkv[place(i)]!), (into, values) => {
      for (let i = 0; i < values.length; i++) into[place(i)] = values[i]!;
    });
  }
}

/** RMS normalisation of every head of queries (with gain `q`) and of keys (with gain `k`); values stay. */
export function headNorm(
  heads: Heads & { epsilon: number },
  qkv: Numbers,
  q: Numbers,
  k: Numbers,
): Float64Array {
  const { H, H_kv, hd: C, epsilon } = heads;
  const y = Float64Array.from(qkv);
  eachHead(heads, qkv, (head, rows, put) => {
    if (head < H + H_kv) put(y, rmsNorm({ C, epsilon }, rows, head < H ? q : k));
  });
  return y;
}

/** The gradients of `headNorm`. */
export function headNormBackward(
  heads: Heads & { epsilon: number },
  qkv: Numbers,
  q: Numbers,
  k: Numbers,
  dy: Numbers,
): { dx: Float64Array; dq: Float64Array; dk: Float64Array } {
  const { H, H_kv, hd: C, epsilon } = heads;
  const [dx, dq, dk] = [Float64Array.from(dy), new Float64Array(C), new Float64Array(C)];
  const dys: Float64Array[] = [];
  eachHead(heads, dy, (head, rows) => dys[head] = rows);
  eachHead(heads, qkv, (head, rows, put) => {
    if (head >= H + H_kv) return;
    const back = rmsNormBackward({ C, epsilon }, rows, head < H ? q : k, dys[head]!);
    put(dx, back.dx);
    back.dgamma.forEach((v, c) => (head < H ? dq : dk)[c]! += v);
  });
  return { dx, dq, dk };
}

/**
 * Rotary positions: the numbers 2i and 2i + 1 of every head of queries and keys, as a complex number, times
 * e^(sign · position · theta^(-2i/hd) · √-1). Its gradient is the same with sign -1.
 */
export function rotary(
  heads: Heads & { T: number; theta: number; position?: number },
  qkv: Numbers,
  sign: 1 | -1 = 1,
): Float64Array {
  const { H, H_kv, hd, T, theta, position = 0 } = heads;
  const y = Float64Array.from(qkv);
  eachHead(heads, qkv, (head, rows, put) => {
    if (head >= H + H_kv) return;
    const turned = rows.map((v, i) => {
      const [t, lane] = [position + Math.floor(i / hd) % T, i % hd];
      const angle = sign * t * theta ** (-(lane - lane % 2) / hd);
      const other = rows[lane % 2 === 0 ? i + 1 : i - 1]!;
      return v * Math.cos(angle) + (lane % 2 === 0 ? -other : other) * Math.sin(angle);
    });
    put(y, turned);
  });
  return y;
}

/**
 * The slopes of ALiBi for n heads as Press et al. give them: for a power of two the geometric sequence that starts at
 * 2^(-8/n) with that ratio; else those of the largest power of two below, and every other one of twice as many.
 */
export function alibiSlopes(n: number): number[] {
  const sequence = (count: number) => Array.from({ length: count }, (_, i) => (2 ** (-8 / count)) ** (i + 1));
  const below = 2 ** Math.floor(Math.log2(n));
  const others = sequence(2 * below).filter((_, i) => i % 2 === 0);
  return [...sequence(below), ...others].slice(0, n);
}

/** What ALiBi adds to a score. */
export function alibiBias(H: number): (h: number, i: number, j: number) => number {
  const slopes = alibiSlopes(H);
  return (h, i, j) => -slopes[h]! * (i - j);
}

/** Whether sparse attention lets query i see key j ≤ i: a neighbour within the window, or a whole number of strides away. */
export function sparseSees(window: number, stride: number): (i: number, j: number) => boolean {
  return (i, j) => i - j < window || (i - j) % stride === 0;
}

/** max(x, 0)². */
export function reluSquared(x: Numbers): Float64Array {
  return Float64Array.from(x, (v) => v > 0 ? v * v : 0);
}

/** dy times the slope of `reluSquared`. */
export function reluSquaredBackward(x: Numbers, dy: Numbers): Float64Array {
  return Float64Array.from(x, (v, i) => v > 0 ? 2 * v * dy[i]! : 0);
}

const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));

/** x · gate · sigmoid(gate). */
export function swiglu(gate: Numbers, x: Numbers): Float64Array {
  return Float64Array.from(gate, (g, i) => x[i]! * g * sigmoid(g));
}

/** The gradients of `swiglu`. */
export function swigluBackward(
  gate: Numbers,
  x: Numbers,
  dy: Numbers,
): { dgate: Float64Array; dx: Float64Array } {
  const dx = Float64Array.from(gate, (g, i) => dy[i]! * g * sigmoid(g));
  const dgate = Float64Array.from(gate, (g, i) => {
    const s = sigmoid(g);
    return dy[i]! * x[i]! * (s + g * s * (1 - s));
  });
  return { dgate, dx };
}
