/**
 * A whole GPT-2-style model in float64, loss and all gradients, and AdamW with clipping: the second half of the oracle.
 * Parameters go by Hugging Face's names, weights stand [in, out], the head is tied to `wte.weight` or is `lm_head.weight`.
 */

import * as f64 from "./float64.ts";
import * as variants from "./float64_variants.ts";

/** What of a model's configuration its mathematics depends on; what is left out is GPT-2's. */
export interface GptShape {
  n_layer: number;
  n_head: number;
  n_embd: number;
  n_positions: number;
  vocab_size: number;
  layer_norm_epsilon: number;
  attention_type?: string;
  window?: number;
  sparsity_factor?: number;
  n_kv_head?: number;
  position_type?: string;
  rope_theta?: number;
  norm_type?: string;
  qk_norm?: boolean;
  mlp_type?: string;
  n_inner?: number;
}

/** Numbers by parameter name. */
export type Named = Record<string, f64.Numbers>;

/** Multiplies the output of a dropout site, element by element: 0 or 1/(1-p). */
export type DropoutMasks = {
  /** Factor of element (row, col) at `site`. */
  activation: (site: number, row: number, col: number) => number;
  /** Factor of the attention weights at `site`. */
  attention: (site: number) => f64.AttentionMask;
};

/** The result of a part of the model, and what turns its gradient into that of the part's input. */
interface Part {
  y: Float64Array;
  back: (dy: Float64Array) => Float64Array;
}

/**
 * The mean loss of a batch, what the head reads (`hidden`, [M, C]), the gradient of every parameter, and the weights of every
 * layer's attention, [B * H * T, T].
 */
export function gpt(
  config: GptShape,
  { B, T }: { B: number; T: number },
  p: Named,
  ids: f64.Numbers, // [B * T]
  targets: f64.Numbers, // [B * T]
  masks?: DropoutMasks,
): {
  loss: number;
  hidden: Float64Array;
  gradients: Record<string, Float64Array>;
  weights: (() => Float64Array)[];
} {
  const { n_layer, n_head: H, n_embd: C, n_positions, vocab_size: V, n_inner: I = 4 * C } = config;
  const { n_kv_head: H_kv = H } = config;
  const M = B * T;
  const norms = { C, epsilon: config.layer_norm_epsilon };
  const heads = {
    B,
    T,
    H,
    H_kv,
    hd: C / H,
    epsilon: config.layer_norm_epsilon,
    theta: config.rope_theta ?? 0,
    ...(config.position_type === "alibi" ? { bias: variants.alibiBias(H) } : {}),
    ...(config.attention_type === "sparse"
      ? { sees: variants.sparseSees(config.window!, config.sparsity_factor!) }
      : {}),
  };
  const gradients: Record<string, Float64Array> = {};
  const drop = (site: number, x: Float64Array) =>
    masks === undefined ? x : x.map((v, i) => v * masks.activation(site, Math.floor(i / C), i % C));

  /** y = x·w + b, b where there is one. */
  const linear = (name: string, K: number, N: number, input: Float64Array): Part => {
    const [w, b] = [p[`${name}.weight`]!, p[`${name}.bias`]];
    const back = (dy: Float64Array) => {
      const { dx, dw, db } = f64.linearBackward({ M, K, N }, input, w, dy);
      gradients[`${name}.weight`] = dw;
      if (b !== undefined) gradients[`${name}.bias`] = db;
      return dx;
    };
    return { y: f64.linear({ M, K, N }, input, w, b ?? new Float64Array(N)), back };
  };
  const norm = (name: string, input: Float64Array): Part => {
    const [gamma, beta] = [p[`${name}.weight`]!, p[`${name}.bias`]];
    if (config.norm_type === "rms_norm") {
      const back = (dy: Float64Array) => {
        const { dx, dgamma } = variants.rmsNormBackward(norms, input, gamma, dy);
        gradients[`${name}.weight`] = dgamma;
        return dx;
      };
      return { y: variants.rmsNorm(norms, input, gamma), back };
    }
    const back = (dy: Float64Array) => {
      const { dx, dgamma, dbeta } = f64.layerNormBackward(norms, input, gamma, dy);
      gradients[`${name}.weight`] = dgamma;
      if (beta !== undefined) gradients[`${name}.bias`] = dbeta;
      return dx;
    };
    return { y: f64.layerNorm(norms, input, gamma, beta ?? new Float64Array(C)), back };
  };
  /** What is done to queries and keys before scores are made of them. */
  const prepared = (name: string, qkv: Float64Array): Part => {
    const isRotary = config.position_type === "rotary";
    const turn = (t: Float64Array, sign: 1 | -1) => isRotary ? variants.rotary(heads, t, sign) : t;
    if (!config.qk_norm) return { y: turn(qkv, 1), back: (dy) => turn(dy, -1) };
    const [q, k] = [p[`${name}.q_norm.weight`]!, p[`${name}.k_norm.weight`]!];
    const back = (dy: Float64Array) => {
      const { dx, dq, dk } = variants.headNormBackward(heads, qkv, q, k, turn(dy, -1));
      gradients[`${name}.q_norm.weight`] = dq;
      gradients[`${name}.k_norm.weight`] = dk;
      return dx;
    };
    return { y: turn(variants.headNorm(heads, qkv, q, k), 1), back };
  };
  /** The MLP up to its last projection. */
  const mlp = (name: string, input: Float64Array): Part => {
    const fc = linear(`${name}.c_fc`, C, I, input); // [M, I]
    if (config.mlp_type === "relu_squared") {
      return { y: variants.reluSquared(fc.y), back: (dy) => fc.back(variants.reluSquaredBackward(fc.y, dy)) };
    }
    if (config.mlp_type === "swiglu") {
      const gate = linear(`${name}.c_gate`, C, I, input); // [M, I]
      const back = (dy: Float64Array) => {
        const { dgate, dx } = variants.swigluBackward(gate.y, fc.y, dy);
        return f64.add(gate.back(dgate), fc.back(dx));
      };
      return { y: variants.swiglu(gate.y, fc.y), back };
    }
    return { y: f64.gelu(fc.y), back: (dy) => fc.back(f64.geluBackward(fc.y, dy)) };
  };

  const weights: (() => Float64Array)[] = [];
  const backward: ((dx: Float64Array) => Float64Array)[] = [];
  const wpe = p["wpe.weight"] ?? new Float64Array(n_positions * C);
  let x = drop(0, f64.embedding({ T, C }, ids, p["wte.weight"]!, wpe)); // [M, C]
  for (let layer = 0; layer < n_layer; layer++) {
    const [name, site] = [`h.${layer}`, 4 * layer];
    const mask = masks?.attention(site + 1);
    const ln_1 = norm(`${name}.ln_1`, x);
    const c_attn = linear(`${name}.attn.c_attn`, C, (H + 2 * H_kv) * heads.hd, ln_1.y);
    const qkv = prepared(`${name}.attn`, c_attn.y);
    const c_proj = linear(`${name}.attn.c_proj`, C, C, f64.attention(heads, qkv.y, mask)); // [M, C]
    weights.push(() => f64.attentionWeights(heads, qkv.y));
    x = f64.add(x, drop(site + 2, c_proj.y));
    backward.push((dx) => {
      const dy = c_proj.back(drop(site + 2, dx));
      const dqkv = f64.attentionBackward(heads, qkv.y, dy, mask);
      return f64.add(dx, ln_1.back(c_attn.back(qkv.back(dqkv))));
    });
    const ln_2 = norm(`${name}.ln_2`, x);
    const h = mlp(`${name}.mlp`, ln_2.y); // [M, I]
    const mlp_proj = linear(`${name}.mlp.c_proj`, I, C, h.y); // [M, C]
    x = f64.add(x, drop(site + 3, mlp_proj.y));
    backward.push((dx) => f64.add(dx, ln_2.back(h.back(mlp_proj.back(drop(site + 3, dx))))));
  }

  const ln_f = norm("ln_f", x);
  const own = p["lm_head.weight"];
  const head = f64.headLoss({ C, V, scale: 1 / M }, ln_f.y, own ?? p["wte.weight"]!, targets);
  let dx = ln_f.back(head.dx);
  for (const back of backward.toReversed()) dx = back(dx);
  const { dwte, dwpe } = f64.embeddingBackward({ T, C, V, n_positions }, ids, drop(0, dx));
  gradients["wte.weight"] = own === undefined ? f64.add(head.dwte, dwte) : dwte;
  if (own !== undefined) gradients["lm_head.weight"] = head.dwte;
  if (p["wpe.weight"] !== undefined) gradients["wpe.weight"] = dwpe;
  return { loss: head.loss, hidden: ln_f.y, gradients, weights };
}

/** Settings of AdamW and of clipping. */
export interface AdamwSettings {
  beta1: number;
  beta2: number;
  epsilon: number;
  weight_decay: number;
  /** Largest global gradient norm; 0 does not clip. */
  grad_clip: number;
}

/** AdamW (Loshchilov & Hutter 2019) with clipping by global norm, over parameters that decay and others that do not. */
export class Adamw {
  readonly value: Record<string, Float64Array> = {};
  readonly exp_avg: Record<string, Float64Array> = {};
  readonly exp_avg_sq: Record<string, Float64Array> = {};
  readonly #settings: AdamwSettings;
  readonly #decays: (name: string) => boolean;
  #steps = 0;

  constructor(values: Named, settings: AdamwSettings, decays: (name: string) => boolean) {
    this.#settings = settings;
    this.#decays = decays;
    for (const [name, data] of Object.entries(values)) {
      this.value[name] = Float64Array.from(data);
      this.exp_avg[name] = new Float64Array(data.length);
      this.exp_avg_sq[name] = new Float64Array(data.length);
    }
  }

  /** One update; returns the gradients' global norm before clipping. */
  step(learning_rate: number, gradients: Named): number {
    const { beta1, beta2, epsilon, weight_decay, grad_clip } = this.#settings;
    const t = ++this.#steps;
    let squares = 0;
    for (const g of Object.values(gradients)) for (let i = 0; i < g.length; i++) squares += g[i]! ** 2;
    const norm = Math.sqrt(squares);
    const factor = grad_clip > 0 ? Math.min(1, grad_clip / (norm + 1e-6)) : 1;
    for (const [name, value] of Object.entries(this.value)) {
      const decay = this.#decays(name) ? weight_decay : 0;
      const [m, v] = [this.exp_avg[name]!, this.exp_avg_sq[name]!];
      for (let i = 0; i < value.length; i++) {
        const g = gradients[name]![i]! * factor;
        m[i] = beta1 * m[i]! + (1 - beta1) * g;
        v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
        const deviation = Math.sqrt(v[i]! / (1 - beta2 ** t)) + epsilon;
        value[i] = value[i]! * (1 - learning_rate * decay) -
          learning_rate * m[i]! / (1 - beta1 ** t) / deviation;
      }
    }
    return norm;
  }
}
