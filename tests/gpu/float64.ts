/**
 * The oracle of the engine's tests: every op of the model, forward and backward, in float64 and in plain loops that follow
 * the formulas and nothing else. Matrices are dense, row after row, without padding. `float64_test.ts` checks the oracle
 * itself against central differences; what variants of GPT-2 add is in `float64_variants.ts`, a whole model and the optimizer
 * in `float64_gpt.ts`.
 */

/** Numbers of any precision. */
export type Numbers = ArrayLike<number>;

/** y = x·w + b. */
export function linear( // [M, K] · [K, N] + [N] -> [M, N]
  { M, K, N }: { M: number; K: number; N: number },
  x: Numbers,
  w: Numbers,
  b: Numbers,
): Float64Array {
  const y = new Float64Array(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = b[n]!;
      for (let k = 0; k < K; k++) sum += x[m * K + k]! * w[k * N + n]!;
      y[m * N + n] = sum;
    }
  }
  return y;
}

/** The gradients of `linear`: dx = dy·wᵀ, dw = xᵀ·dy, db = column sums of dy. */
export function linearBackward(
  { M, K, N }: { M: number; K: number; N: number },
  x: Numbers,
  w: Numbers,
  dy: Numbers,
): { dx: Float64Array; dw: Float64Array; db: Float64Array } {
  const [dx, dw, db] = [new Float64Array(M * K), new Float64Array(K * N), new Float64Array(N)];
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      const g = dy[m * N + n]!;
      db[n]! += g;
      for (let k = 0; k < K; k++) {
        dx[m * K + k]! += g * w[k * N + n]!;
        dw[k * N + n]! += g * x[m * K + k]!;
      }
    }
  }
  return { dx, dw, db };
}

/** a + b, element by element. */
export function add(a: Numbers, b: Numbers): Float64Array {
  return Float64Array.from(a, (value, i) => value + b[i]!);
}

const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

/** GELU in its tanh form: x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))). */
export function gelu(x: Numbers): Float64Array {
  return Float64Array.from(x, (v) => 0.5 * v * (1 + Math.tanh(GELU_SCALE * (v + GELU_CUBIC * v ** 3))));
}

/** dy times the slope of `gelu` at x. */
export function geluBackward(x: Numbers, dy: Numbers): Float64Array {
  return Float64Array.from(x, (v, i) => {
    const t = Math.tanh(GELU_SCALE * (v + GELU_CUBIC * v ** 3));
    const slope = 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * GELU_SCALE * (1 + 3 * GELU_CUBIC * v * v);
    return dy[i]! * slope;
  });
}

/** (x - mean) / √(variance + epsilon) of every row, and 1 / √(…). */
function normalise(C: number, epsilon: number, x: Numbers): { n: Float64Array; rstd: Float64Array } {
  const n = new Float64Array(x.length); // [M, C]
  const rstd = new Float64Array(x.length / C); // [M]
  for (let m = 0; m < rstd.length; m++) {
    let mean = 0, variance = 0;
    for (let c = 0; c < C; c++) mean += x[m * C + c]! / C;
    for (let c = 0; c < C; c++) variance += (x[m * C + c]! - mean) ** 2 / C;
    rstd[m] = 1 / Math.sqrt(variance + epsilon);
    for (let c = 0; c < C; c++) n[m * C + c] = (x[m * C + c]! - mean) * rstd[m]!;
  }
  return { n, rstd };
}

/** Layer normalisation of every row of `C` columns. */
export function layerNorm( // [M, C], [C], [C] -> [M, C]
  { C, epsilon }: { C: number; epsilon: number },
  x: Numbers,
  gamma: Numbers,
  beta: Numbers,
): Float64Array {
  return normalise(C, epsilon, x).n.map((n, i) => n * gamma[i % C]! + beta[i % C]!);
}

/** The gradients of `layerNorm`. */
export function layerNormBackward(
  { C, epsilon }: { C: number; epsilon: number },
  x: Numbers,
  gamma: Numbers,
  dy: Numbers,
): { dx: Float64Array; dgamma: Float64Array; dbeta: Float64Array } {
  const { n, rstd } = normalise(C, epsilon, x);
  const [dx, dgamma, dbeta] = [new Float64Array(x.length), new Float64Array(C), new Float64Array(C)];
  for (let m = 0; m < rstd.length; m++) {
    let mean = 0, meanN = 0; // of h = dy·gamma and of h·n
    for (let c = 0; c < C; c++) {
      const i = m * C + c;
      dgamma[c]! += dy[i]! * n[i]!;
      dbeta[c]! += dy[i]!;
      mean += dy[i]! * gamma[c]! / C;
      meanN += dy[i]! * gamma[c]! * n[i]! / C;
    }
    for (let c = 0; c < C; c++) {
      const i = m * C + c;
      dx[i] = rstd[m]! * (dy[i]! * gamma[c]! - mean - n[i]! * meanN);
    }
  }
  return { dx, dgamma, dbeta };
}

/** wte[id] + wpe[position + place in the sequence]. */
export function embedding( // [M], [V, C], [n_positions, C] -> [M, C]
  { T, C, position = 0 }: { T: number; C: number; position?: number },
  ids: Numbers,
  wte: Numbers,
  wpe: Numbers,
): Float64Array {
  return Float64Array.from({ length: ids.length * C }, (_, i) => {
    const [m, c] = [Math.floor(i / C), i % C];
    return wte[ids[m]! * C + c]! + wpe[(position + m % T) * C + c]!;
  });
}

/** The gradients of `embedding`. */
export function embeddingBackward(
  { T, C, V, n_positions }: { T: number; C: number; V: number; n_positions: number },
  ids: Numbers,
  dx: Numbers,
): { dwte: Float64Array; dwpe: Float64Array } {
  const [dwte, dwpe] = [new Float64Array(V * C), new Float64Array(n_positions * C)];
  for (let i = 0; i < dx.length; i++) {
    const [m, c] = [Math.floor(i / C), i % C];
    dwte[ids[m]! * C + c]! += dx[i]!;
    dwpe[m % T * C + c]! += dx[i]!;
  }
  return { dwte, dwpe };
}

/** Sequences, tokens of each, heads, size of a head; and in what attention differs from GPT-2's. */
export interface AttentionShape {
  B: number;
  T: number;
  H: number;
  hd: number;
  /** Heads of keys and values, each for H / H_kv neighbouring heads of queries. @default H */
  H_kv?: number;
  /** What is added to the score of query i of head h on key j. @default nothing */
  bias?: (h: number, i: number, j: number) => number;
  /** Whether query i sees key j, j ≤ i. @default always */
  sees?: (i: number, j: number) => boolean;
}

/**
 * What attention weights are multiplied with after the softmax: dropout's 0 or 1/(1-p) for sequence b, head h, query i,
 * key j.
 */
export type AttentionMask = (b: number, h: number, i: number, j: number) => number;

const NO_MASK: AttentionMask = () => 1;

/** Calls `visit` for every sequence and head with the places of its rows and its [T, T] matrix of weights. */
function eachHead(
  { B, T, H, hd, H_kv = H, bias = () => 0, sees = () => true }: AttentionShape,
  qkv: Numbers, // [B * T, (H + 2 * H_kv) * hd]: queries of all heads, then keys, then values
  visit: (head: {
    b: number;
    h: number;
    /** Place in qkv of row t of the head's queries (part 0), keys (1), values (2). */
    at: (part: number, t: number) => number;
    /** Place in y of row t of the head. */
    out: (t: number) => number;
    weights: Float64Array;
  }) => void,
): void {
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const shared = Math.floor(h / (H / H_kv)); // head of keys and values
      const at = (part: number, t: number) =>
        ((b * T + t) * (H + 2 * H_kv) + [h, H + shared, H + H_kv + shared][part]!) * hd;
      const weights = new Float64Array(T * T);
      for (let i = 0; i < T; i++) {
        const row = weights.subarray(i * T, i * T + i + 1);
        for (let j = 0; j <= i; j++) {
          for (let d = 0; d < hd; d++) row[j]! += qkv[at(0, i) + d]! * qkv[at(1, j) + d]! / Math.sqrt(hd);
          row[j]! += sees(i, j) ? bias(h, i, j) : -Infinity;
        }
        const most = row.reduce((a, s) => Math.max(a, s), -Infinity);
        const total = row.reduce((sum, s) => sum + Math.exp(s - most), 0);
        row.forEach((s, j) => row[j] = Math.exp(s - most) / total);
      }
      visit({ b, h, at, out: (t) => ((b * T + t) * H + h) * hd, weights });
    }
  }
}

/** The weights of every head, row (b·H + h)·T + i those of query i. */
export function attentionWeights(shape: AttentionShape, qkv: Numbers): Float64Array { // -> [B * H * T, T]
  const { B, T, H } = shape;
  const all = new Float64Array(B * H * T * T);
  eachHead(shape, qkv, ({ b, h, weights }) => all.set(weights, (b * H + h) * T * T));
  return all;
}

/** softmax(q·kᵀ / √hd, causal)·v for every head, the T × T weights written out. */
export function attention( // [B * T, (H + 2 * H_kv) * hd] -> [B * T, H * hd]
  shape: AttentionShape,
  qkv: Numbers,
  mask: AttentionMask = NO_MASK,
): Float64Array {
  const { B, T, H, hd } = shape;
  const y = new Float64Array(B * T * H * hd);
  eachHead(shape, qkv, ({ b, h, at, out, weights }) => {
    for (let i = 0; i < T; i++) {
      for (let j = 0; j <= i; j++) {
        const weight = weights[i * T + j]! * mask(b, h, i, j);
        for (let d = 0; d < hd; d++) y[out(i) + d]! += weight * qkv[at(2, j) + d]!;
      }
    }
  });
  return y;
}

/** The gradient of `attention`. */
export function attentionBackward(
  shape: AttentionShape,
  qkv: Numbers,
  dy: Numbers,
  mask: AttentionMask = NO_MASK,
): Float64Array {
  const { T, hd } = shape;
  const dqkv = new Float64Array(qkv.length);
  eachHead(shape, qkv, ({ b, h, at, out, weights }) => {
    for (let i = 0; i < T; i++) {
      const dweights = new Float64Array(i + 1); // of the softmax's results, before the mask
      let mean = 0;
      for (let j = 0; j <= i; j++) {
        const [weight, kept] = [weights[i * T + j]!, mask(b, h, i, j)];
        for (let d = 0; d < hd; d++) {
          dweights[j]! += kept * dy[out(i) + d]! * qkv[at(2, j) + d]!;
          dqkv[at(2, j) + d]! += weight * kept * dy[out(i) + d]!;
        }
        mean += weight * dweights[j]!;
      }
      for (let j = 0; j <= i; j++) {
        const dscore = weights[i * T + j]! * (dweights[j]! - mean) / Math.sqrt(hd);
        for (let d = 0; d < hd; d++) {
          dqkv[at(0, i) + d]! += dscore * qkv[at(1, j) + d]!;
          dqkv[at(1, j) + d]! += dscore * qkv[at(0, i) + d]!;
        }
      }
    }
  });
  return dqkv;
}

/** The loss and the gradients of the head. */
export interface HeadLoss {
  loss: number;
  dx: Float64Array;
  dwte: Float64Array;
}

/** `scale` times the summed cross-entropy of logits = x·wteᵀ, and its gradients. Targets of 0xffffffff do not count. */
export function headLoss( // [M, C], [V, C], [M]
  { C, V, scale }: { C: number; V: number; scale: number },
  x: Numbers,
  wte: Numbers,
  targets: Numbers,
): HeadLoss {
  const [dx, dwte] = [new Float64Array(x.length), new Float64Array(V * C)];
  let loss = 0;
  for (let m = 0; m < targets.length; m++) {
    const target = targets[m]!;
    if (target === 0xffffffff) continue;
    const logits = new Float64Array(V);
    for (let v = 0; v < V; v++) {
      for (let c = 0; c < C; c++) logits[v]! += x[m * C + c]! * wte[v * C + c]!;
    }
    const most = logits.reduce((a, l) => Math.max(a, l), -Infinity);
    const total = logits.reduce((sum, l) => sum + Math.exp(l - most), 0);
    loss += scale * (most + Math.log(total) - logits[target]!);
    for (let v = 0; v < V; v++) {
      const dlogit = scale * (Math.exp(logits[v]! - most) / total - (v === target ? 1 : 0));
      for (let c = 0; c < C; c++) {
        dx[m * C + c]! += dlogit * wte[v * C + c]!;
        dwte[v * C + c]! += dlogit * x[m * C + c]!;
      }
    }
  }
  return { loss, dx, dwte };
}
