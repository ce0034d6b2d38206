/**
 * One transformer block, pre-norm: x + attn(norm(x)), then x + mlp(norm(x)), with what variants put in place of GPT-2's parts. How
 * queries meet keys is `attention.ts`.
 */
import {
  add,
  dropout,
  gelu,
  layerNorm,
  linear,
  matmul,
  reluSquared,
  rmsNorm,
  scale,
  swiglu,
  type Tensor,
} from "../gpu/mod.ts";
import { type Attend, prepareQkv, type Rotation } from "./attention.ts";
import type { ModelConfig } from "./config.ts";
import { hasAdapter } from "./parameters.ts";
import { SITES } from "./sites.ts";

/** The parameter of a name; undefined where the model has none of it, such as a bias. */
export type ParameterOf = (name: string) => Tensor | undefined;

/** What a block is made with. */
export interface BlockParts {
  config: ModelConfig;
  parameter: ParameterOf;
  /** Dropout on what the block adds. */
  resid_pdrop: number;
  attend: Attend;
  /** Rotary positions, where the model has them. */
  rotation: Rotation | undefined;
  /** Defines what is large and cheap to compute: what the norms and the MLP's activation give. */
  cheap: (define: () => Tensor) => Tensor;
}

/** LayerNorm or RMSNorm, with the parameters named so. */
export function norm(
  name: string,
  x: Tensor,
  { config, parameter }: Pick<BlockParts, "config" | "parameter">,
): Tensor { // [M, C] -> [M, C]
  const [gain, offset] = [parameter(`${name}.weight`)!, parameter(`${name}.bias`)];
  const { norm_type, layer_norm_epsilon } = config;
  return norm_type === "rms_norm"
    ? rmsNorm(x, gain, layer_norm_epsilon)
    : layerNorm(x, gain, offset, layer_norm_epsilon);
}

/** A block. */
export function block(x: Tensor, layer: number, parts: BlockParts): Tensor { // [B * T, C] -> [B * T, C]
  const { config: c, parameter, resid_pdrop, attend, rotation, cheap } = parts;
  const name = `h.${layer}`;
  const site = layer * SITES.count;
  const project = (part: string, t: Tensor) => projection(`${name}.${part}`, t, parts);

  const qkv = project("attn.c_attn", cheap(() => norm(`${name}.ln_1`, x, parts))); //     [B * T, 3C]
  const heads = attend(prepareQkv(qkv, `${name}.attn`, c, parameter, rotation), layer); // [B * T, C]
  const y = project("attn.c_proj", heads); //                                            [B * T, C]
  x = add(x, dropout(y, resid_pdrop, site + SITES.attention_out));
  const n = cheap(() => norm(`${name}.ln_2`, x, parts)); //                               [B * T, C]
  const h = mlp(n, parts, project); //                                                   [B * T, n_inner]
  return add(x, dropout(project("mlp.c_proj", h), resid_pdrop, site + SITES.mlp_out)); // [B * T, C]
}

/** The MLP up to its last projection. */
function mlp( // [M, C] -> [M, n_inner]
  x: Tensor,
  { config, cheap }: BlockParts,
  project: (part: string, t: Tensor) => Tensor,
): Tensor {
  switch (config.mlp_type) {
    case "gelu": {
      const h = project("mlp.c_fc", x); // [M, n_inner]
      return cheap(() => gelu(h));
    }
    case "relu_squared": {
      const h = project("mlp.c_fc", x); // [M, n_inner]
      return cheap(() => reluSquared(h));
    }
    case "swiglu": {
      const [gate, h] = [project("mlp.c_gate", x), project("mlp.c_fc", x)]; // [M, n_inner] both
      return cheap(() => swiglu(gate, h));
    }
  }
}

/** x·W, plus the bias, plus the adapter where the layer has one. */
function projection(layer: string, x: Tensor, { config: { lora }, parameter }: BlockParts): Tensor { // [M, K] -> [M, N]
  const [weight, bias] = [parameter(`${layer}.weight`)!, parameter(`${layer}.bias`)];
  const y = bias === undefined ? matmul(x, weight) : linear(x, weight, bias);
  if (!hasAdapter(layer, lora)) return y;
  const low = scale(matmul(x, parameter(`${layer}.lora_A`)!), lora!.alpha / lora!.rank); // [M, rank]
  return add(y, matmul(low, parameter(`${layer}.lora_B`)!)); //                             (x·A)·B · alpha / rank
}
