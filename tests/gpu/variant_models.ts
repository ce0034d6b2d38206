/** The models that variants are tested with: each variant by itself, and everything at once. */

import type { modelConfig } from "../../models/mod.ts";

/** A section `model`, and the tokens of a batch. */
export interface VariantCase {
  name: string;
  model: Parameters<typeof modelConfig>[0];
  B: number;
  T: number;
}

const small = { n_layer: 1, n_head: 3, n_embd: 18, n_positions: 16, vocab_size: 37 };

/** Odd numbers of heads, head sizes and widths that are padded, sequences that no block divides. */
export const VARIANTS: VariantCase[] = [
  { name: "standard attention", model: { ...small, attention_type: "standard" }, B: 2, T: 13 },
  {
    name: "sparse attention",
    model: { ...small, attention_type: "sparse", window: 4, sparsity_factor: 3 },
    B: 2,
    T: 13,
  },
  { name: "shared heads", model: { ...small, n_head: 6, n_kv_head: 2 }, B: 2, T: 13 },
  { name: "rotary positions", model: { ...small, position_type: "rotary", rope_theta: 100 }, B: 2, T: 13 },
  { name: "ALiBi", model: { ...small, position_type: "alibi" }, B: 2, T: 13 },
  { name: "RMSNorm", model: { ...small, norm_type: "rms_norm" }, B: 2, T: 13 },
  { name: "QK-norm", model: { ...small, qk_norm: true }, B: 2, T: 13 },
  {
    name: "squared ReLU, an MLP of another width",
    model: { ...small, mlp_type: "relu_squared", n_inner: 29 },
    B: 2,
    T: 13,
  },
  { name: "SwiGLU", model: { ...small, mlp_type: "swiglu", n_inner: 21 }, B: 2, T: 13 },
  { name: "a head of its own", model: { ...small, tie_word_embeddings: false }, B: 2, T: 13 },
  { name: "no biases", model: { ...small, bias: false }, B: 2, T: 13 },
];

/** Most variants in one model of two layers; ALiBi instead of rotary positions in the second. */
export const COMBINED: VariantCase[] = [
  {
    name: "rotary positions, shared heads, RMSNorm, QK-norm, SwiGLU, a head of its own, no biases",
    model: {
      n_layer: 2,
      n_head: 4,
      n_kv_head: 2,
      n_embd: 24,
      n_positions: 16,
      vocab_size: 37,
      position_type: "rotary",
      norm_type: "rms_norm",
      qk_norm: true,
      mlp_type: "swiglu",
      n_inner: 21,
      tie_word_embeddings: false,
      bias: false,
    },
    B: 2,
    T: 13,
  },
  {
    name: "sparse attention with ALiBi, shared heads, QK-norm, SwiGLU with biases",
    model: {
      n_layer: 2,
      n_head: 6,
      n_kv_head: 3,
      n_embd: 30,
      n_positions: 16,
      vocab_size: 37,
      attention_type: "sparse",
      window: 5,
      sparsity_factor: 4,
      position_type: "alibi",
      qk_norm: true,
      mlp_type: "swiglu",
      n_inner: 21,
    },
    B: 2,
    T: 13,
  },
];
