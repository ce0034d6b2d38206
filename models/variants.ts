/**
 * In what a model may differ from GPT-2: kind of attention, heads of keys and values, positions, norms, MLP, head and biases.
 * Each is a key of the section `model`; what it computes is told in `docs/models.md`. The defaults are GPT-2.
 */
import { z } from "zod";

const whole = (description: string) => z.int().min(1).describe(description);

/** The keys of the section `model` that choose a variant. A key that would do nothing in a model is refused. */
export const variantFields = {
  attention_type: z.enum(["memory_efficient", "standard", "sparse"]).default("memory_efficient").describe(
    "memory_efficient: flash attention; standard: the same with every weight in memory; sparse: only some earlier tokens are seen",
  ),
  window: whole("sparse attention: tokens seen without a gap, the token itself among them").optional(),
  sparsity_factor: whole("sparse attention: beyond the window every so-manieth earlier token is seen")
    .optional(),
  n_kv_head: whole("heads of keys and values, each shared by n_head / n_kv_head heads; n_head when left out")
    .optional(),
  position_type: z.enum(["learned", "rotary", "alibi"]).default("learned").describe(
    "learned: an embedding of each position; rotary: queries and keys are turned; alibi: scores fall with distance",
  ),
  rope_theta: z.number().gt(1).optional().describe("rotary positions: base of the angles"),
  norm_type: z.enum(["layer_norm", "rms_norm"]).default("layer_norm").describe(
    "what stands before attention, MLP and head",
  ),
  qk_norm: z.boolean().default(false).describe("RMS normalisation of every head of queries and keys"),
  mlp_type: z.enum(["gelu", "relu_squared", "swiglu"]).default("gelu").describe("what the MLP computes"),
  n_inner: whole(
    "width of the MLP; 4 × n_embd when left out, for swiglu 8/3 × n_embd to the nearest multiple of 8",
  ).optional(),
  tie_word_embeddings: z.boolean().default(true).describe("whether the head is the token embedding"),
  bias: z.boolean().default(true).describe("whether linear layers and norms have biases"),
};

/** The variant of a model, nothing open. */
export interface Variant {
  /** `memory_efficient` and `standard` compute the same in different ways. */
  attention_type: "memory_efficient" | "standard" | "sparse";
  /** Sparse attention alone: tokens seen without a gap, the token itself among them. */
  window?: number;
  /** Sparse attention alone: beyond the window tokens are seen whose distance is a multiple of this. */
  sparsity_factor?: number;
  /** Heads of keys and values. */
  n_kv_head: number;
  position_type: "learned" | "rotary" | "alibi";
  /** Rotary positions alone: base of the angles. */
  rope_theta?: number;
  norm_type: "layer_norm" | "rms_norm";
  /** Whether every head of queries and keys is normalised. */
  qk_norm: boolean;
  mlp_type: "gelu" | "relu_squared" | "swiglu";
  /** Width of the MLP. */
  n_inner: number;
  /** Whether the head is the token embedding. */
  tie_word_embeddings: boolean;
  /** Whether linear layers and norms have biases. */
  bias: boolean;
}

/** The keys of a variant. */
export const VARIANT_KEYS = Object.keys(variantFields) as (keyof Variant)[];

/** Base of rotary angles when none is given: that of the paper. */
const ROPE_THETA = 10_000;

/** Sparse attention when nothing is given: a window of a quarter of the context, beyond it every fourth token. */
const DEFAULT_SPARSITY = 4;

type VariantSection = z.output<z.ZodObject<typeof variantFields>>;
type Shape = { n_head: number; n_embd: number; n_positions: number };

/** Reports what is wrong with a variant's fields together: keys that do nothing, heads that do not fit. */
export function checkVariant(
  section: VariantSection & Shape,
  fault: (path: string, message: string) => void,
): void {
  const { attention_type, position_type, n_head, n_embd, n_kv_head = n_head } = section;
  for (const key of ["window", "sparsity_factor"] as const) {
    if (section[key] === undefined || attention_type === "sparse") continue;
    fault(key, `does nothing with attention_type ${attention_type}; leave it out, or choose sparse`);
  }
  if (section.rope_theta !== undefined && position_type !== "rotary") {
    fault("rope_theta", `does nothing with position_type ${position_type}; leave it out, or choose rotary`);
  }
  if (n_head % n_kv_head !== 0) {
    fault("n_kv_head", `${n_kv_head} does not divide n_head ${n_head}`);
  }
  if (position_type === "rotary" && (n_embd / n_head) % 2 === 1) {
    fault("position_type", `rotary turns pairs of numbers, but a head has ${n_embd / n_head} of them`);
  }
}

/** Fills in what is open in a variant. */
export function settleVariant(section: VariantSection & Shape): Variant {
  const { attention_type, position_type, norm_type, qk_norm, mlp_type, tie_word_embeddings, bias } = section;
  return {
    attention_type,
    ...(attention_type === "sparse"
      ? {
        window: section.window ?? Math.ceil(section.n_positions / 4),
        sparsity_factor: section.sparsity_factor ?? DEFAULT_SPARSITY,
      }
      : {}),
    n_kv_head: section.n_kv_head ?? section.n_head,
    position_type,
    ...(position_type === "rotary" ? { rope_theta: section.rope_theta ?? ROPE_THETA } : {}),
    norm_type,
    qk_norm,
    mlp_type,
    n_inner: section.n_inner ?? defaultInner(mlp_type, section.n_embd),
    tie_word_embeddings,
    bias,
  };
}

/** Width of an MLP with 8 × n_embd² weights: swiglu has three matrices in place of two. */
function defaultInner(mlp_type: Variant["mlp_type"], n_embd: number): number {
  return mlp_type === "swiglu" ? Math.max(8, Math.round(n_embd / 3) * 8) : 4 * n_embd;
}

/** Whether GPT2LMHeadModel computes the same: it knows other widths and activations of the MLP, and a head of its own. */
export function isGpt2(v: Variant & { n_head: number }): boolean {
  return v.attention_type !== "sparse" && v.n_kv_head === v.n_head && v.position_type === "learned" &&
    v.norm_type === "layer_norm" && !v.qk_norm && v.mlp_type !== "swiglu" && v.bias;
}

/** In what a model differs from GPT-2, in words, such as `rotary positions`; empty for GPT-2 itself. */
export function differences(v: Variant & { n_head: number; n_embd: number }): string[] {
  const all: [boolean, string][] = [
    [v.attention_type === "standard", "standard attention"],
    [
      v.attention_type === "sparse",
      `sparse attention (window ${v.window}, beyond it every ${v.sparsity_factor}th)`,
    ],
    [v.n_kv_head !== v.n_head, `${v.n_kv_head} heads of keys and values`],
    [v.position_type === "rotary", `rotary positions (theta ${v.rope_theta})`],
    [v.position_type === "alibi", "ALiBi positions"],
    [v.norm_type === "rms_norm", "RMSNorm"],
    [v.qk_norm, "QK-norm"],
    [v.mlp_type === "relu_squared", "squared ReLU"],
    [v.mlp_type === "swiglu", "SwiGLU"],
    [v.n_inner !== defaultInner(v.mlp_type, v.n_embd), `an MLP ${v.n_inner} wide`],
    [!v.tie_word_embeddings, "a head of its own"],
    [!v.bias, "no biases"],
  ];
  return all.filter(([is]) => is).map(([, words]) => words);
}
