/**
 * The other optimizers in float64, each in plain loops that follow its paper: Lion, gradient descent with momentum, Muon, and
 * the levels of 8-bit state. Clipping is left to the caller; AdamW is in `float64_gpt.ts`.
 */

import type { Named } from "./float64_gpt.ts";

/** Chen et al. 2023, algorithm 2: one weight after its step, and what is kept. */
export function lion(
  { value, m, g }: { value: number; m: number; g: number },
  { rate, beta1, beta2, decay }: { rate: number; beta1: number; beta2: number; decay: number },
): { value: number; m: number; direction: number } {
  const direction = beta1 * m + (1 - beta1) * g;
  return {
    value: value - rate * (Math.sign(direction) + decay * value),
    m: beta2 * m + (1 - beta2) * g,
    direction,
  };
}

/** PyTorch's SGD with momentum, and decoupled decay. */
export function sgd(
  { value, b, g }: { value: number; b: number; g: number },
  { rate, momentum, decay }: { rate: number; momentum: number; decay: number },
): { value: number; b: number } {
  const sum = momentum * b + g;
  return { value: value - rate * (sum + decay * value), b: sum };
}

/** A matrix as rows of numbers. */
export type Rows = number[][];

const times = (a: Rows, b: Rows): Rows =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
const transposed = (a: Rows): Rows => a[0]!.map((_, j) => a.map((row) => row[j]!));
const plus = (p: number, a: Rows, q: number, b: Rows): Rows =>
  a.map((row, i) => row.map((x, j) => p * x + q * b[i]![j]!));

/** `zeropower_via_newtonschulz5` of Jordan et al. 2024. */
export function newtonSchulz(g: Rows): Rows {
  const isTall = g.length > g[0]!.length;
  const norm = Math.hypot(...g.flat());
  let x = (isTall ? transposed(g) : g).map((row) => row.map((v) => v / (norm + 1e-7)));
  for (let i = 0; i < 5; i++) {
    const a = times(x, transposed(x));
    const b = plus(-4.775, a, 2.0315, times(a, a));
    x = plus(3.4445, x, 1, times(b, x));
  }
  return isTall ? transposed(x) : x;
}

/** Muon on one matrix: its weights after a step, and its momentum. */
export function muon(
  { value, b, g }: { value: Rows; b: Rows; g: Rows },
  { rate, momentum, decay }: { rate: number; momentum: number; decay: number },
): { value: Rows; b: Rows } {
  const sum = plus(momentum, b, 1, g);
  const o = newtonSchulz(plus(1, g, momentum, sum)); // Nesterov
  const scale = 0.2 * Math.sqrt(Math.max(value.length, value[0]!.length));
  return { value: plus(1 - rate * decay, value, -rate * scale, o), b: sum };
}

/** The factor by which `clip_grad_norm_` multiplies gradients; 1 where `most` is 0. */
export function clipFactor(gradients: Named, most: number): number {
  let squares = 0;
  for (const g of Object.values(gradients)) for (let i = 0; i < g.length; i++) squares += g[i]! ** 2;
  return most > 0 ? Math.min(1, most / (Math.sqrt(squares) + 1e-6)) : 1;
}

/**
 * The levels of dynamic quantization, as Dettmers's own code makes them: in each decade the middles of equal parts of
 * [0.1, 1], as many as there are fractions, and with them 0 and 1. Ascending.
 */
export function levels(signed: boolean): number[] {
  const found = [0, 1];
  for (let decade = 0; decade < 7; decade++) {
    const parts = 2 ** ((signed ? 6 : 7) - decade);
    const bounds = Array.from({ length: parts + 1 }, (_, i) => 0.1 + 0.9 * i / parts);
    for (let i = 0; i < parts; i++) {
      const level = 10 ** -decade * (bounds[i]! + bounds[i + 1]!) / 2;
      found.push(level);
      if (signed) found.push(-level);
    }
  }
  return found.sort((a, b) => a - b);
}
