/** How far a product is from float64, by some of its elements: enough to find a wrong kernel, at no cost that counts. */

import type { MatmulSpec } from "./spec.ts";

/** Elements that are summed in float64. */
const CHECKED = 64;

/** The largest error among some elements of c [M, N]; NaN where one of them is. Operands lie as the mode says. */
export function worstError(
  { mode, M, N, K }: Pick<MatmulSpec, "mode" | "M" | "N" | "K">,
  a: Float32Array,
  b: Float32Array,
  c: Float32Array,
): number {
  let worst = 0;
  for (let i = 0; i < CHECKED; i++) {
    const row = Math.floor(i * M / CHECKED);
    const col = (i * 7919) % N;
    let sum = 0;
    for (let k = 0; k < K; k++) {
      sum += a[mode === "TN" ? k * M + row : row * K + k]! * b[mode === "NT" ? col * K + k : k * N + col]!;
    }
    worst = Math.max(worst, Math.abs(c[row * N + col]! - sum));
  }
  return worst;
}
