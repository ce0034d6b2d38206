/**
 * The parameters of a GPT-2-style model: names, shapes, order and which of them decay.
 *
 * Names and layouts are those of Hugging Face's GPT-2 (`GPT2LMHeadModel` without the `transformer.` prefix): the
 * weights of linear layers stand [in, out] ("Conv1D"), and the head has none of its own since it is tied to
 * `wte.weight`.
 */
import type { LoraConfig, ModelConfig } from "./config.ts";

/** How a parameter begins; see `init.ts`. */
export type Initializer = "normal" | "residual" | "adapter" | "zeros" | "ones";

/** One parameter of the model. */
export interface Parameter {
  name: string;
  shape: number[];
  initializer: Initializer;
  /** Whether weight decay applies: on matrices only, not on biases and LayerNorm. */
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
    weight("wpe.weight", [T, C]),
    ...Array.from({ length: n_layer }, (_, i) => blockParameters(`h.${i}`, C)).flat(),
    ...layerNorm("ln_f", C),
  ];
  if (lora === undefined) return own;
  return [...own.map((parameter) => ({ ...parameter, frozen: true })), ...adapters(own, lora)];
}

/** Number of values; the tied head counts once. */
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

function blockParameters(block: string, C: number): Parameter[] {
  return [
    ...layerNorm(`${block}.ln_1`, C),
    ...linear(`${block}.attn.c_attn`, C, 3 * C, "normal"),
    ...linear(`${block}.attn.c_proj`, C, C, "residual"),
    ...layerNorm(`${block}.ln_2`, C),
    ...linear(`${block}.mlp.c_fc`, C, 4 * C, "normal"),
    ...linear(`${block}.mlp.c_proj`, 4 * C, C, "residual"),
  ];
}

function layerNorm(name: string, C: number): Parameter[] {
  return [vector(`${name}.weight`, C, "ones"), vector(`${name}.bias`, C, "zeros")];
}

function linear(name: string, from: number, to: number, initializer: Initializer): Parameter[] {
  return [weight(`${name}.weight`, [from, to], initializer), vector(`${name}.bias`, to, "zeros")];
}

function weight(name: string, shape: [number, number], initializer: Initializer = "normal"): Parameter {
  return { name, shape, initializer, decay: true, frozen: false };
}

function vector(name: string, length: number, initializer: Initializer): Parameter {
  return { name, shape: [length], initializer, decay: false, frozen: false };
}
