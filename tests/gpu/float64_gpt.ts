/**
 * A whole GPT-2-style model in float64, loss and all gradients, and AdamW with clipping: the second half of the oracle.
 * Parameters go by Hugging Face's names, weights stand [in, out], the head is tied to `wte.weight`.
 */

import * as f64 from "./float64.ts";

/** What of a model's configuration its mathematics depends on. */
export interface GptShape {
  n_layer: number;
  n_head: number;
  n_embd: number;
  n_positions: number;
  vocab_size: number;
  layer_norm_epsilon: number;
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

/** The mean loss of a batch, what the head reads (`hidden`, [M, C]), and the gradient of every parameter. */
export function gpt(
  config: GptShape,
  { B, T }: { B: number; T: number },
  p: Named,
  ids: f64.Numbers, // [B * T]
  targets: f64.Numbers, // [B * T]
  masks?: DropoutMasks,
): { loss: number; hidden: Float64Array; gradients: Record<string, Float64Array> } {
  const { n_layer, n_head: H, n_embd: C, n_positions, vocab_size: V } = config;
  const M = B * T;
  const norm = { C, epsilon: config.layer_norm_epsilon };
  const heads = { B, T, H, hd: C / H };
  const gradients: Record<string, Float64Array> = {};
  const drop = (site: number, x: Float64Array) =>
    masks === undefined ? x : x.map((v, i) => v * masks.activation(site, Math.floor(i / C), i % C));

  const backward: ((dx: Float64Array) => Float64Array)[] = [];
  let x = drop(0, f64.embedding({ T, C }, ids, p["wte.weight"]!, p["wpe.weight"]!)); // [M, C]

  /** y = x·w + b, and what undoes it. */
  const linear = (name: string, K: number, N: number, input: Float64Array) => {
    const [w, b] = [p[`${name}.weight`]!, p[`${name}.bias`]!];
    const back = (dy: Float64Array) => {
      const { dx, dw, db } = f64.linearBackward({ M, K, N }, input, w, dy);
      gradients[`${name}.weight`] = dw;
      gradients[`${name}.bias`] = db;
      return dx;
    };
    return { y: f64.linear({ M, K, N }, input, w, b), back };
  };
  const layerNorm = (name: string, input: Float64Array) => {
    const [gamma, beta] = [p[`${name}.weight`]!, p[`${name}.bias`]!];
    const back = (dy: Float64Array) => {
      const { dx, dgamma, dbeta } = f64.layerNormBackward(norm, input, gamma, dy);
      gradients[`${name}.weight`] = dgamma;
      gradients[`${name}.bias`] = dbeta;
      return dx;
    };
    return { y: f64.layerNorm(norm, input, gamma, beta), back };
  };

  for (let layer = 0; layer < n_layer; layer++) {
    const [name, site] = [`h.${layer}`, 4 * layer];
    const mask = masks?.attention(site + 1);
    const ln_1 = layerNorm(`${name}.ln_1`, x);
    const c_attn = linear(`${name}.attn.c_attn`, C, 3 * C, ln_1.y); // [M, 3C]
    const c_proj = linear(`${name}.attn.c_proj`, C, C, f64.attention(heads, c_attn.y, mask)); // [M, C]
    x = f64.add(x, drop(site + 2, c_proj.y));
    backward.push((dx) => {
      const dy = c_proj.back(drop(site + 2, dx));
      return f64.add(dx, ln_1.back(c_attn.back(f64.attentionBackward(heads, c_attn.y, dy, mask))));
    });
    const ln_2 = layerNorm(`${name}.ln_2`, x);
    const c_fc = linear(`${name}.mlp.c_fc`, C, 4 * C, ln_2.y); // [M, 4C]
    const mlp_proj = linear(`${name}.mlp.c_proj`, 4 * C, C, f64.gelu(c_fc.y)); // [M, C]
    x = f64.add(x, drop(site + 3, mlp_proj.y));
    backward.push((dx) => {
      const dh = mlp_proj.back(drop(site + 3, dx));
      return f64.add(dx, ln_2.back(c_fc.back(f64.geluBackward(c_fc.y, dh))));
    });
  }

  const ln_f = layerNorm("ln_f", x);
  const head = f64.headLoss({ C, V, scale: 1 / M }, ln_f.y, p["wte.weight"]!, targets);
  let dx = ln_f.back(head.dx);
  for (const back of backward.toReversed()) dx = back(dx);
  const { dwte, dwpe } = f64.embeddingBackward({ T, C, V, n_positions }, ids, drop(0, dx));
  gradients["wte.weight"] = f64.add(head.dwte, dwte);
  gradients["wpe.weight"] = dwpe;
  return { loss: head.loss, hidden: ln_f.y, gradients };
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
