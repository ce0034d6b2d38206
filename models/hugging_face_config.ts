/**
 * A model's configuration in Hugging Face's form: the `config.json` of a `GPT2LMHeadModel`.
 *
 * What the engine does not compute is refused, not passed over; keys that do not change what the model computes (of
 * tokens, tasks, caches) are ignored. Fields and defaults are those of transformers' documentation of GPT2Config.
 */
import { z } from "zod";
import { displayPath, validate } from "../common/mod.ts";
import type { ModelConfig } from "./config.ts";

/** GPT2Config's fields that say what is computed; a key left out has Hugging Face's default. */
const gpt2ConfigSchema = z.looseObject({
  model_type: z.literal("gpt2").describe("only GPT-2's architecture is supported"),
  vocab_size: z.int().min(1).default(50257),
  n_positions: z.int().min(1).default(1024),
  n_embd: z.int().min(1).default(768),
  n_layer: z.int().min(1).default(12),
  n_head: z.int().min(1).default(12),
  n_inner: z.int().nullish(),
  activation_function: z.literal("gelu_new").default("gelu_new")
    .describe("only the tanh form of GELU is supported"),
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
  tie_word_embeddings: z.literal(true).default(true).describe("only a head tied to wte is supported"),
}).check(({ value, issues }) => {
  const { n_inner, n_embd, n_head } = value;
  const fault = (path: string, message: string) =>
    issues.push({ code: "custom", path: [path], input: value, message });
  if (n_inner != null && n_inner !== 4 * n_embd) {
    fault(
      "n_inner",
      `${n_inner} is not 4 × n_embd = ${4 * n_embd}, the only width of an MLP that is supported`,
    );
  }
  if (n_embd % n_head !== 0) fault("n_embd", `${n_embd} is not divisible by n_head ${n_head}`);
});

/**
 * The configuration as `config.json` holds it.
 *
 * `bos_token_id` and `eos_token_id` are null: a model trained here marks neither, and GPT2Config's own default
 * (50256) lies outside a small vocabulary.
 */
export function toHuggingFaceConfig(config: ModelConfig): Record<string, unknown> {
  return {
    architectures: ["GPT2LMHeadModel"],
    model_type: "gpt2",
    vocab_size: config.vocab_size,
    n_positions: config.n_positions,
    n_ctx: config.n_positions,
    n_embd: config.n_embd,
    n_layer: config.n_layer,
    n_head: config.n_head,
    n_inner: null,
    activation_function: "gelu_new",
    layer_norm_epsilon: config.layer_norm_epsilon,
    initializer_range: config.initializer_range,
    resid_pdrop: config.resid_pdrop,
    embd_pdrop: config.embd_pdrop,
    attn_pdrop: config.attn_pdrop,
    scale_attn_weights: true,
    tie_word_embeddings: true,
    bos_token_id: null,
    eos_token_id: null,
    torch_dtype: "float32",
  };
}

/**
 * Reads a configuration of Hugging Face's form.
 *
 * @param json content of `config.json`, parsed.
 * @param file its path, for messages.
 * @throws UserError that names the file and the field when it is no GPT-2 or one that the engine does not compute.
 */
export function fromHuggingFaceConfig(json: unknown, file: string): ModelConfig {
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
  };
}
