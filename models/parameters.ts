/**
 * The parameters of a GPT-2-style model: names, shapes, order and which of them decay.
 *
 * Names and layouts are those of Hugging Face's GPT-2 (`GPT2LMHeadModel` without the `transformer.` prefix): the
 * weights of linear layers stand [in, out] ("Conv1D"), and the head, [vocabulary, width], has none of its own where it is tied
 * to `wte.weight`. What variants add is named as others name it: `q_norm`, `k_norm`, `c_gate`, `lm_head`.
 */
import { UserError } from "../common/mod.ts";
import type { LoraConfig, ModelConfig } from "./config.ts";
import { isGpt2 } from "./variants.ts";

/** How a parameter begins; see `init.ts`. */
export type Initializer = "normal" | "residual" | "adapter" | "zeros" | "ones";

/** One parameter of the model. */
export interface Parameter {
  name: string;
  shape: number[];
  initializer: Initializer;
  /** Whether weight decay applies: on matrices only, not on biases and norms. */
  decay: boolean;
  /** Whether training leaves it as it is: the model's own weights beside adapters. */
  frozen: boolean;
}

/** A tensor in memory, float32, row-major. */
export interface Weight {
  /** Its sides, such as [in, out]. */
  shape: number[];
  /** Its elements, as many as the sides multiplied. */
  data: Float32Array<ArrayBuffer>;
}

/** A model's weights by parameter name, in the order of {@link parameters}. */
export type Weights = Map<string, Weight>;

/**
 * The model's parameters, in Hugging Face's order; after them the adapters, if there are any.
 *
 * @example
 * ```ts
 * import { modelConfig } from "./config.ts";
 * import { parameters } from "./parameters.ts";
 * const [wte] = parameters(modelConfig({ n_embd: 32, n_head: 2 }, 50));
 * console.log(wte); // { name: "wte.weight", shape: [50, 32], initializer: "normal", decay: true, frozen: false }
 * ```
 */
export function parameters(config: ModelConfig): Parameter[] {
  const { n_layer, n_embd: C, n_positions: T, vocab_size: V, lora } = config;
  const own = [
    weight("wte.weight", [V, C]),
    ...(config.position_type === "learned" ? [weight("wpe.weight", [T, C])] : []),
    ...Array.from({ length: n_layer }, (_, i) => blockParameters(`h.${i}`, config)).flat(),
    ...norm("ln_f", config),
    ...(config.tie_word_embeddings ? [] : [weight("lm_head.weight", [V, C])]),
  ];
  if (lora === undefined) return own;
  return [...own.map((parameter) => ({ ...parameter, frozen: true })), ...adapters(own, lora)];
}

/** What GPT2LMHeadModel puts before the names of its transformer. */
export const TRANSFORMER_PREFIX = "transformer.";

/**
 * The name under which a parameter is written to a model's file: its own, which GPT2LMHeadModel understands, but not beside a head
 * of its own (`lm_head.weight`); there it wants its prefix before the others.
 */
export function storedName(config: ModelConfig, name: string): string {
  const prefixed = isGpt2(config) && !config.tie_word_embeddings;
  return fileName(prefixed ? TRANSFORMER_PREFIX : "", name);
}

/** The name of a parameter in files that put `prefix` before the names of the transformer. */
export function fileName(prefix: string, name: string): string {
  return name === "lm_head.weight" ? name : prefix + name;
}

/** Number of values; a tied head counts once. */
export function parameterCount(config: ModelConfig): number {
  return count(parameters(config));
}

/** Number of values that training changes. */
export function trainedParameterCount(config: ModelConfig): number {
  return count(parameters(config).filter(({ frozen }) => !frozen));
}

function count(some: Parameter[]): number {
  return some.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** Whether a linear layer, such as `h.0.attn.c_attn`, has an adapter. */
export function hasAdapter(layer: string, lora: LoraConfig | undefined): boolean {
  return lora?.targets.some((target) => layer.endsWith(`.${target}`)) === true;
}

/**
 * Checks that every target of the adapters is a layer of the model.
 *
 * @throws UserError that names the one that is not.
 */
export function checkAdapters(config: ModelConfig): void {
  const layers = parameters(config).filter(({ name }) => name.startsWith("h.0."))
    .filter(({ name, shape }) => name.endsWith(".weight") && shape.length === 2)
    .map(({ name }) => name.slice("h.0.".length, -".weight".length));
  for (const target of config.lora?.targets ?? []) {
    if (layers.some((layer) => `.${layer}`.endsWith(`.${target}`))) continue;
    throw new UserError(`training.lora.targets names ${target}, which the model does not have`, {
      hint: `its linear layers are ${layers.join(", ")}`,
    });
  }
}

/** A [from, rank] and B [rank, to] of every linear layer that is to have an adapter. */
function adapters(own: Parameter[], lora: LoraConfig): Parameter[] {
  return own.flatMap(({ name, shape: [from, to] }) => {
    const layer = name.replace(/\.weight$/, "");
    if (layer === name || !hasAdapter(layer, lora)) return [];
    return [
      weight(`${layer}.lora_A`, [from!, lora.rank], "adapter"),
      weight(`${layer}.lora_B`, [lora.rank, to!], "zeros"),
    ];
  });
}

function blockParameters(block: string, config: ModelConfig): Parameter[] {
  const { n_embd: C, n_head, n_kv_head, n_inner, bias, qk_norm, mlp_type } = config;
  const headSize = C / n_head;
  const linear = (name: string, from: number, to: number, initializer: Initializer) => [
    weight(`${block}.${name}.weight`, [from, to], initializer),
    ...(bias ? [vector(`${block}.${name}.bias`, to, "zeros")] : []),
  ];
  const heads = (name: string) => qk_norm ? [vector(`${block}.${name}.weight`, headSize, "ones")] : [];
  return [
    ...norm(`${block}.ln_1`, config),
    ...linear("attn.c_attn", C, (n_head + 2 * n_kv_head) * headSize, "normal"),
    ...heads("attn.q_norm"),
    ...heads("attn.k_norm"),
    ...linear("attn.c_proj", C, C, "residual"),
    ...norm(`${block}.ln_2`, config),
    ...linear("mlp.c_fc", C, n_inner, "normal"),
    ...(mlp_type === "swiglu" ? linear("mlp.c_gate", C, n_inner, "normal") : []),
    ...linear("mlp.c_proj", n_inner, C, "residual"),
  ];
}

function norm(name: string, { n_embd: C, norm_type, bias }: ModelConfig): Parameter[] {
  const gain = vector(`${name}.weight`, C, "ones");
  return norm_type === "layer_norm" && bias ? [gain, vector(`${name}.bias`, C, "zeros")] : [gain];
}

function weight(name: string, shape: [number, number], initializer: Initializer = "normal"): Parameter {
  return { name, shape, initializer, decay: true, frozen: false };
}

function vector(name: string, length: number, initializer: Initializer): Parameter {
  return { name, shape: [length], initializer, decay: false, frozen: false };
}
