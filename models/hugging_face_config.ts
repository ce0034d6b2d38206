/**
 * A model's configuration as `config.json`: that of a `GPT2LMHeadModel` in Hugging Face's form, or for what that cannot compute
 * ChatGoT's own, with `model_type` `chatgot` and the keys of the section `model`.
 *
 * What the engine does not compute is refused, not passed over; keys of GPT2Config that do not change what the model computes (of
 * tokens, tasks, caches) are ignored. Fields and defaults are those of transformers' documentation of GPT2Config; `relu2`
 * is the name of squared ReLU among its activations.
 */
import { z } from "zod";
import { displayPath, validate } from "../common/mod.ts";
import { type ModelConfig, modelSectionSchema, settleModel } from "./config.ts";
import { isGpt2, VARIANT_KEYS } from "./variants.ts";

/** GPT-2's activations as ChatGoT and as Hugging Face's library name them. */
const ACTIVATIONS = { gelu: "gelu_new", relu_squared: "relu2" } as const;

/** `model_type` of what GPT2LMHeadModel cannot compute. */
export const OWN_MODEL_TYPE = "chatgot";

/** GPT2Config's fields that say what is computed; a key left out has Hugging Face's default. */
const gpt2ConfigSchema = z.looseObject({
  model_type: z.literal("gpt2").describe("only GPT-2's architecture is supported"),
  vocab_size: z.int().min(1).default(50257),
  n_positions: z.int().min(1).default(1024),
  n_embd: z.int().min(1).default(768),
  n_layer: z.int().min(1).default(12),
  n_head: z.int().min(1).default(12),
  n_inner: z.int().min(1).nullish(),
  activation_function: z.enum(["gelu_new", "relu2"]).default("gelu_new")
    .describe("only the tanh form of GELU, and squared ReLU, are supported"),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  initializer_range: z.number().positive().default(0.02),
  resid_pdrop: z.number().min(0).lt(1).default(0.1),
  embd_pdrop: z.number().min(0).lt(1).default(0.1),
  attn_pdrop: z.number().min(0).lt(1).default(0.1),
  scale_attn_weights: z.literal(true).default(true).describe("only scaled attention is supported"),
  scale_attn_by_inverse_layer_idx: z.literal(false).default(false).describe(
    "scaling by layer is not supported",
  ),
  add_cross_attention: z.literal(false).default(false).describe("cross attention is not supported"),
  tie_word_embeddings: z.boolean().default(true),
  attention_type: z.enum(["memory_efficient", "standard"]).default("memory_efficient")
    .describe("a key of ChatGoT's own: in which way attention is computed"),
}).check(({ value, issues }) => {
  const { n_embd, n_head } = value;
  if (n_embd % n_head === 0) return;
  const message = `${n_embd} is not divisible by n_head ${n_head}`;
  issues.push({ code: "custom", path: ["n_embd"], input: value, message });
});

/** Sizes that a file of ChatGoT's own form must hold: those of the section `model` have defaults. */
const ownConfigSchema = z.looseObject({
  model_type: z.literal(OWN_MODEL_TYPE),
  vocab_size: z.int().min(1),
  n_positions: z.int().min(1),
  n_embd: z.int().min(1),
  n_layer: z.int().min(1),
  n_head: z.int().min(1),
});

/**
 * The configuration as `config.json` holds it: in Hugging Face's form where GPT2LMHeadModel computes the same.
 *
 * `bos_token_id` and `eos_token_id` are null: a model trained here marks neither, and GPT2Config's own default
 * (50256) lies outside a small vocabulary.
 */
export function toHuggingFaceConfig(config: ModelConfig): Record<string, unknown> {
  if (!isGpt2(config)) return toOwnConfig(config);
  const { n_inner, mlp_type, attention_type, tie_word_embeddings } = config;
  return {
    architectures: ["GPT2LMHeadModel"],
    model_type: "gpt2",
    vocab_size: config.vocab_size,
    n_positions: config.n_positions,
    n_ctx: config.n_positions,
    n_embd: config.n_embd,
    n_layer: config.n_layer,
    n_head: config.n_head,
    n_inner: n_inner === 4 * config.n_embd ? null : n_inner,
    activation_function: ACTIVATIONS[mlp_type as keyof typeof ACTIVATIONS],
    layer_norm_epsilon: config.layer_norm_epsilon,
    initializer_range: config.initializer_range,
    resid_pdrop: config.resid_pdrop,
    embd_pdrop: config.embd_pdrop,
    attn_pdrop: config.attn_pdrop,
    scale_attn_weights: true,
    tie_word_embeddings,
    ...(attention_type === "standard" ? { attention_type } : {}),
    bos_token_id: null,
    eos_token_id: null,
    torch_dtype: "float32",
  };
}

/** The configuration in ChatGoT's own form. */
function toOwnConfig(config: ModelConfig): Record<string, unknown> {
  const variant = VARIANT_KEYS.filter((key) => config[key] !== undefined).map((key) => [key, config[key]]);
  return {
    architectures: ["ChatGoT"],
    model_type: OWN_MODEL_TYPE,
    vocab_size: config.vocab_size,
    n_positions: config.n_positions,
    n_embd: config.n_embd,
    n_layer: config.n_layer,
    n_head: config.n_head,
    ...Object.fromEntries(variant),
    layer_norm_epsilon: config.layer_norm_epsilon,
    initializer_range: config.initializer_range,
    resid_pdrop: config.resid_pdrop,
    embd_pdrop: config.embd_pdrop,
    attn_pdrop: config.attn_pdrop,
    bos_token_id: null,
    eos_token_id: null,
    torch_dtype: "float32",
  };
}

/** Reads ChatGoT's own form; a key that is not known may change what is computed, and is refused. */
function fromOwnConfig(json: unknown, file: string): ModelConfig {
  const {
    architectures: _a,
    model_type: _m,
    bos_token_id: _b,
    eos_token_id: _e,
    torch_dtype: _t,
    ...section
  } = validate(ownConfigSchema, json, { file });
  return settleModel(validate(modelSectionSchema, section, { file }), section.vocab_size);
}

/**
 * Reads a configuration of Hugging Face's form or of ChatGoT's own.
 *
 * @param json content of `config.json`, parsed.
 * @param file its path, for messages.
 * @throws UserError that names the file and the field when it is neither, or one that the engine does not compute.
 */
export function fromHuggingFaceConfig(json: unknown, file: string): ModelConfig {
  const isOwn = (json as { model_type?: unknown } | null)?.model_type === OWN_MODEL_TYPE;
  if (isOwn) return fromOwnConfig(json, displayPath(file));
  const config = validate(gpt2ConfigSchema, json, { file: displayPath(file) });
  return {
    n_layer: config.n_layer,
    n_head: config.n_head,
    n_embd: config.n_embd,
    n_positions: config.n_positions,
    vocab_size: config.vocab_size,
    layer_norm_epsilon: config.layer_norm_epsilon,
    initializer_range: config.initializer_range,
    embd_pdrop: config.embd_pdrop,
    resid_pdrop: config.resid_pdrop,
    attn_pdrop: config.attn_pdrop,
    attention_type: config.attention_type,
    n_kv_head: config.n_head,
    position_type: "learned",
    norm_type: "layer_norm",
    qk_norm: false,
    mlp_type: config.activation_function === "relu2" ? "relu_squared" : "gelu",
    n_inner: config.n_inner ?? 4 * config.n_embd,
    tie_word_embeddings: config.tie_word_embeddings,
    bias: true,
  };
}
