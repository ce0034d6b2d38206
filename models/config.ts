/**
 * What a GPT is: the section `model` of a config, with the names of Hugging Face's GPT2Config; in what it may differ from
 * GPT-2 is in `variants.ts`, and the form of `config.json` in `hugging_face_config.ts`.
 */
import { z } from "zod";
import { UserError, validate } from "../common/mod.ts";
import { checkVariant, settleVariant, type Variant, variantFields } from "./variants.ts";

const size = (description: string) => z.int().min(1).describe(description);
const probability = (description: string) => z.number().min(0).lt(1).describe(description);

/** The fields of the section `model`. Sizes left out are those of `chatgot_tiny_char`, so that an empty section trains fast. */
export const modelSectionSchema = z.strictObject({
  n_layer: size("number of transformer blocks").default(4),
  n_head: size("attention heads of a block; must divide n_embd").default(4),
  n_embd: size("width: length of the vector that stands for a token").default(128),
  n_positions: size("context: how many tokens the model sees at most").default(64),
  vocab_size: size("number of distinct tokens; taken from the data's tokenizer when left out").optional(),
  layer_norm_epsilon: z.number().positive().default(1e-5).describe("added to the variance in LayerNorm"),
  initializer_range: z.number().positive().default(0.02).describe(
    "standard deviation of the initial weights",
  ),
  dropout: probability("embd_pdrop, resid_pdrop and attn_pdrop in one, where they are not given").default(0),
  embd_pdrop: probability("dropout on the sum of token and position embedding").optional(),
  resid_pdrop: probability("dropout on what a block adds to the residual stream").optional(),
  attn_pdrop: probability("dropout on the attention weights").optional(),
  ...variantFields,
}).check(({ value, issues }) => {
  const fault = (path: string, message: string) =>
    issues.push({ code: "custom", path: [path], input: value, message });
  if (value.n_embd % value.n_head !== 0) {
    fault("n_embd", `${value.n_embd} is not divisible by n_head ${value.n_head}`);
  }
  checkVariant(value, fault);
});

/** The section `model` as a config file holds it, defaults filled in. */
export type ModelSection = z.output<typeof modelSectionSchema>;

/** A model's configuration with nothing open: what the forward pass and a checkpoint need. */
export interface ModelConfig extends Variant {
  /** Number of transformer blocks. */
  n_layer: number;
  /** Attention heads of a block. */
  n_head: number;
  /** Width: length of the vector that stands for a token. */
  n_embd: number;
  /** Context: how many tokens the model sees at most. */
  n_positions: number;
  /** Number of distinct tokens. */
  vocab_size: number;
  /** Added to the variance in LayerNorm. */
  layer_norm_epsilon: number;
  /** Standard deviation of the initial weights. */
  initializer_range: number;
  /** Dropout on the sum of token and position embedding. */
  embd_pdrop: number;
  /** Dropout on what a block adds to the residual stream. */
  resid_pdrop: number;
  /** Dropout on the attention weights. */
  attn_pdrop: number;
  /** Adapters beside weights that stand still; left out, all weights are trained. */
  lora?: LoraConfig;
}

/** Which linear layers may get an adapter, by the ends of their names, as PEFT's `target_modules` has it. */
export const LORA_TARGETS = [
  "c_attn",
  "c_proj",
  "c_fc",
  "c_gate",
  "attn.c_attn",
  "attn.c_proj",
  "mlp.c_fc",
  "mlp.c_gate",
  "mlp.c_proj",
] as const;

/** Low-rank adapters (Hu et al., arXiv:2106.09685): x·W becomes x·W + (alpha / rank)·(x·A)·B. */
export interface LoraConfig {
  /** Columns of A and rows of B. */
  rank: number;
  alpha: number;
  targets: (typeof LORA_TARGETS)[number][];
}

/**
 * Settles a section `model`: fills in defaults, the three dropouts and the vocabulary's size.
 *
 * @param section fields of the section; unknown ones and wrong types are refused.
 * @param tokenizerSize number of tokens of the data's tokenizer. A larger `vocab_size` in the section stands (the
 *   surplus is padding); a smaller one is refused.
 * @throws UserError when a field is wrong or does nothing in this model, when n_head does not divide n_embd, or when no
 *   vocabulary's size is known.
 *
 * @example
 * ```ts
 * import { modelConfig } from "./config.ts";
 * console.log(modelConfig({ n_layer: 2, dropout: 0.1 }, 65).attn_pdrop); // 0.1
 * ```
 */
export function modelConfig(
  section: z.input<typeof modelSectionSchema>,
  tokenizerSize?: number,
): ModelConfig {
  const model = validate(modelSectionSchema, section, { prefix: ["model"] });
  const vocab_size = model.vocab_size ?? tokenizerSize;
  if (vocab_size === undefined) {
    throw new UserError("model.vocab_size is not known", { hint: "give it, or data with a tokenizer" });
  }
  if (tokenizerSize !== undefined && vocab_size < tokenizerSize) {
    throw new UserError(
      `model.vocab_size ${vocab_size} is less than the tokenizer's ${tokenizerSize} tokens`,
      {
        hint: "leave it out to take the tokenizer's",
      },
    );
  }
  return settleModel(model, vocab_size);
}

/** Fills in what is open in a section that is sound. */
export function settleModel({ dropout, ...model }: ModelSection, vocab_size: number): ModelConfig {
  const { n_layer, n_head, n_embd, n_positions, layer_norm_epsilon, initializer_range } = model;
  return {
    n_layer,
    n_head,
    n_embd,
    n_positions,
    vocab_size,
    layer_norm_epsilon,
    initializer_range,
    embd_pdrop: model.embd_pdrop ?? dropout,
    resid_pdrop: model.resid_pdrop ?? dropout,
    attn_pdrop: model.attn_pdrop ?? dropout,
    ...settleVariant(model),
  };
}
