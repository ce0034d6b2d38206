/** A model's parameters as the engine stores them: how each kind of length stands on the device. */
import { type Axis, axis, type ParameterSpec, rowsOf } from "../gpu/mod.ts";
import type { ModelConfig } from "./config.ts";
import { parameters } from "./parameters.ts";

/** Padded length of the vocabulary on the device: whole tiles of the head's products. */
const VOCABULARY_MULTIPLE = 128;

/** How each kind of length stands on the device: heads are padded one by one. */
function axes(c: ModelConfig) {
  const headSize = c.n_embd / c.n_head;
  return {
    embd: axis(c.n_embd),
    head: axis(headSize),
    heads: axis(headSize, { groups: c.n_head }),
    qkv: axis(headSize, { groups: c.n_head + 2 * c.n_kv_head }),
    mlp: axis(c.n_inner),
    vocab: axis(c.vocab_size, { multiple: VOCABULARY_MULTIPLE }),
    one: rowsOf(1),
  };
}

/** The parameters as the engine stores them. */
export function parameterSpecs(c: ModelConfig): ParameterSpec[] {
  const { embd, head, heads, qkv, mlp, vocab, one } = axes(c);
  const rank = axis(c.lora?.rank ?? 1);
  const sides = (name: string): [Axis, Axis] => {
    if (name.endsWith(".lora_A")) return [sides(name.replace("lora_A", "weight"))[0], rank];
    if (name.endsWith(".lora_B")) return [rank, sides(name.replace("lora_B", "weight"))[1]];
    if (name === "wte.weight" || name === "lm_head.weight") return [vocab, embd];
    if (name === "wpe.weight") return [axis(c.n_positions), embd];
    if (name.endsWith("c_attn.weight")) return [embd, qkv];
    if (name.endsWith("c_attn.bias")) return [one, qkv];
    if (/[qk]_norm\.weight$/.test(name)) return [one, head];
    if (name.endsWith("attn.c_proj.weight")) return [heads, embd];
    if (/(c_fc|c_gate)\.weight$/.test(name)) return [embd, mlp];
    if (/(c_fc|c_gate)\.bias$/.test(name)) return [one, mlp];
    if (name.endsWith("mlp.c_proj.weight")) return [mlp, embd];
    return [one, embd];
  };
  /** Query, key and value stand side by side in what c_attn makes. */
  const matrices = (name: string) =>
    /c_attn\.(weight|lora_B)$/.test(name) ? [c.n_head, c.n_kv_head, c.n_kv_head] : [1];
  return parameters(c).map(({ name, shape, decay, frozen }) => {
    const [rows, cols] = sides(name);
    const isHidden = name.startsWith("h.") && shape.length === 2;
    return { name, rows, cols, decay, frozen, ...(isHidden ? { matrices: matrices(name) } : {}) };
  });
}
