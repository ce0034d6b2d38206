/**
 * GPT-2's architecture as a symbolic graph: pre-LayerNorm blocks, learned positions, fused qkv, causal attention, 4× MLP
 * with tanh-approximated GELU, final LayerNorm, head tied to the token embedding (Radford et al. 2019; names of Hugging
 * Face's GPT2LMHeadModel). Nothing here touches the device. Left out: initial weights (`init.ts`), files (`checkpoint.ts`).
 */

import {
  add,
  attention,
  type Axis,
  axis,
  cachedAttention,
  dropout,
  embedding,
  gelu,
  gradients,
  Graph,
  headLoss,
  lastRow,
  layerNorm,
  linear,
  matmul,
  matmulTransposed,
  type ParameterSpec,
  rowsOf,
  scale,
  type Tensor,
  tokenIndexLength,
} from "../gpu/mod.ts";
import type { ModelConfig } from "./config.ts";
import { hasAdapter, parameters } from "./parameters.ts";

/** Padded length of the vocabulary on the device: whole tiles of the head's products. */
const VOCABULARY_MULTIPLE = 128;

/** Dropout sites of a block, so that no two places draw the same mask. */
const SITES = { embedding: 0, attention: 1, attention_out: 2, mlp_out: 3, count: 4 };

/** How each kind of length stands on the device: heads are padded one by one. */
function axes(c: ModelConfig): { embd: Axis; heads: Axis; qkv: Axis; mlp: Axis; vocab: Axis; one: Axis } {
  const headSize = c.n_embd / c.n_head;
  return {
    embd: axis(c.n_embd),
    heads: axis(headSize, { groups: c.n_head }),
    qkv: axis(headSize, { groups: 3 * c.n_head }),
    mlp: axis(4 * c.n_embd),
    vocab: axis(c.vocab_size, { multiple: VOCABULARY_MULTIPLE }),
    one: rowsOf(1),
  };
}

/** The parameters as the engine stores them. */
export function parameterSpecs(c: ModelConfig): ParameterSpec[] {
  const { embd, heads, qkv, mlp, vocab, one } = axes(c);
  const rank = axis(c.lora?.rank ?? 1);
  const sides = (name: string): [Axis, Axis] => {
    if (name.endsWith(".lora_A")) return [sides(name.replace("lora_A", "weight"))[0], rank];
    if (name.endsWith(".lora_B")) return [rank, sides(name.replace("lora_B", "weight"))[1]];
    if (name === "wte.weight") return [vocab, embd];
    if (name === "wpe.weight") return [axis(c.n_positions), embd];
    if (name.endsWith("c_attn.weight")) return [embd, qkv];
    if (name.endsWith("c_attn.bias")) return [one, qkv];
    if (name.endsWith("attn.c_proj.weight")) return [heads, embd];
    if (name.endsWith("c_fc.weight")) return [embd, mlp];
    if (name.endsWith("c_fc.bias")) return [one, mlp];
    if (name.endsWith("mlp.c_proj.weight")) return [mlp, embd];
    return [one, embd];
  };
  return parameters(c).map(({ name, decay, frozen }) => {
    const [rows, cols] = sides(name);
    return { name, rows, cols, decay, frozen };
  });
}

/** A graph with the model's parameters in it. */
interface Scaffold {
  graph: Graph;
  /** The parameter named `name`. */
  p: (name: string) => Tensor;
  /** Those that training changes. */
  trained: Tensor[];
}

function scaffold(c: ModelConfig): Scaffold {
  const graph = new Graph();
  const specs = parameterSpecs(c);
  const tensors = new Map(specs.map((s) => [s.name, graph.parameter(s.name, s.rows, s.cols)]));
  const p = (name: string) => tensors.get(name)!;
  return { graph, p, trained: specs.filter(({ frozen }) => !frozen).map(({ name }) => p(name)) };
}

/** How one block attends: over the sequence itself, or over a KV cache. */
type Attend = (qkv: Tensor, layer: number) => Tensor;

/** The transformer up to ln_f. */
function transformer( // tokens [B * T] -> [B * T, C]
  { graph, p }: Scaffold,
  c: ModelConfig,
  options: { tokens: Tensor; T: number; index?: Tensor; training: boolean; attend: Attend },
): Tensor {
  const drop = options.training ? c : { embd_pdrop: 0, resid_pdrop: 0 };
  let x = embedding(options.tokens, p("wte.weight"), p("wpe.weight"), options.T, options.index); // [B * T, C]
  x = dropout(x, drop.embd_pdrop, SITES.embedding);
  for (let layer = 0; layer < c.n_layer; layer++) {
    x = graph.scope(`h.${layer}`, () => block(x, layer, p, c, drop.resid_pdrop, options.attend));
  }
  return layerNorm(x, p("ln_f.weight"), p("ln_f.bias"), c.layer_norm_epsilon); // [B * T, C]
}

/** One block, pre-LayerNorm: x + attn(ln_1(x)), then x + mlp(ln_2(x)). */
function block( // [B * T, C] -> [B * T, C]
  x: Tensor,
  layer: number,
  p: (name: string) => Tensor,
  c: ModelConfig,
  resid_pdrop: number,
  attend: Attend,
): Tensor {
  const name = (part: string) => p(`h.${layer}.${part}`);
  const norm = (part: string, t: Tensor) =>
    layerNorm(t, name(`${part}.weight`), name(`${part}.bias`), c.layer_norm_epsilon);
  const project = (part: string, t: Tensor) => {
    const y = linear(t, name(`${part}.weight`), name(`${part}.bias`));
    return hasAdapter(`h.${layer}.${part}`, c.lora) ? add(y, adapter(part, t)) : y;
  };
  const adapter = (part: string, t: Tensor) => { // (x·A)·B · alpha / rank
    const low = scale(matmul(t, name(`${part}.lora_A`)), c.lora!.alpha / c.lora!.rank); // [B * T, rank]
    return matmul(low, name(`${part}.lora_B`));
  };
  const site = layer * SITES.count;
  const qkv = project("attn.c_attn", norm("ln_1", x)); //                                 [B * T, 3C]
  const y = project("attn.c_proj", attend(qkv, layer)); //                                [B * T, C]
  x = add(x, dropout(y, resid_pdrop, site + SITES.attention_out));
  const h = gelu(project("mlp.c_fc", norm("ln_2", x))); //                                [B * T, 4C]
  return add(x, dropout(project("mlp.c_proj", h), resid_pdrop, site + SITES.mlp_out)); // [B * T, C]
}

/** Sizes of a batch. */
export interface BatchSize {
  /** Sequences. */
  B: number;
  /** Tokens of each. */
  T: number;
}

/** Causal attention within each sequence of the batch. */
function attendBatch(c: ModelConfig, { B, T }: BatchSize, attn_pdrop: number): Attend {
  return (qkv, layer) =>
    attention(qkv, {
      B,
      T,
      n_head: c.n_head,
      dropout: attn_pdrop,
      site: layer * SITES.count + SITES.attention,
    });
}

/**
 * Loss and gradients of one micro-batch.
 * Inputs: `input_ids`, `targets` [B * T], `token_index`. Output: `losses` [ring], this micro-batch's at `step.slot`.
 *
 * @param micro_batches micro-batches of a step; the loss and its gradient are divided by it, and gradients add up
 * @param ring places of the ring of losses
 */
export function trainingGraph(
  c: ModelConfig,
  size: BatchSize & { micro_batches: number; ring: number },
): Graph {
  const base = scaffold(c);
  const rows = size.B * size.T;
  const tokens = base.graph.input("input_ids", rows);
  const targets = base.graph.input("targets", rows);
  const index = base.graph.input("token_index", tokenIndexLength(rows));
  const attend = attendBatch(c, size, c.attn_pdrop);
  const x = transformer(base, c, { tokens, T: size.T, index, training: true, attend }); // [B * T, C]
  const loss = headLoss(x, base.p("wte.weight"), targets, 1 / (rows * size.micro_batches), size.ring);
  gradients(loss, base.trained, { accumulate: size.micro_batches > 1 });
  base.graph.output("losses", loss);
  return base.graph;
}

/**
 * Summed loss of a batch without gradients or dropout. Inputs: `input_ids`, `targets` (0xffffffff is ignored).
 * Output: `losses` [ring], the sum over this batch's targets at `step.slot`.
 */
export function evaluationGraph(c: ModelConfig, size: BatchSize & { ring: number }): Graph {
  const base = scaffold(c);
  const rows = size.B * size.T;
  const tokens = base.graph.input("input_ids", rows);
  const targets = base.graph.input("targets", rows);
  const x = transformer(base, c, { tokens, T: size.T, training: false, attend: attendBatch(c, size, 0) }); // [B * T, C]
  base.graph.output("losses", headLoss(x, base.p("wte.weight"), targets, 1, size.ring));
  return base.graph;
}

/** All logits of a batch, without a cache. Input: `input_ids`. Output: `logits` [B * T, V]. */
export function logitsGraph(c: ModelConfig, size: BatchSize): Graph {
  const base = scaffold(c);
  const tokens = base.graph.input("input_ids", size.B * size.T);
  const x = transformer(base, c, { tokens, T: size.T, training: false, attend: attendBatch(c, size, 0) }); // [B * T, C]
  base.graph.output("logits", matmulTransposed(x, base.p("wte.weight"))); // [B * T, V]
  return base.graph;
}

/**
 * N new tokens of each of B sequences behind `step.position` tokens that stand in the KV cache.
 * Input: `input_ids` [B * N]. Output: `logits` [B, V] of token `step.last` of each sequence.
 */
export function cachedGraph(c: ModelConfig, { B, N }: { B: number; N: number }): Graph {
  const base = scaffold(c);
  const { heads } = axes(c);
  const tokens = base.graph.input("input_ids", B * N);
  const attend: Attend = (qkv, layer) => {
    const rows = rowsOf(B * c.n_positions);
    const keys = base.graph.state(`h.${layer}.keys`, rows, heads); //     [B * n_positions, C]
    const values = base.graph.state(`h.${layer}.values`, rows, heads); // [B * n_positions, C]
    return cachedAttention(qkv, keys, values, { B, N, n_head: c.n_head, T_max: c.n_positions });
  };
  const x = transformer(base, c, { tokens, T: N, training: false, attend }); // [B * N, C]
  base.graph.output("logits", matmulTransposed(lastRow(x, B), base.p("wte.weight"))); // [B, V]
  return base.graph;
}
