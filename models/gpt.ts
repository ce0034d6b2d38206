/**
 * GPT-2's architecture as a symbolic graph: pre-norm blocks, positions, fused qkv, causal attention, MLP, a final norm, the head
 * (Radford et al. 2019; names of Hugging Face's GPT2LMHeadModel), with what variants put in place of its parts. Nothing here
 * touches the device. The block is in `block.ts`, attention in `attention.ts`; left out: initial weights (`init.ts`), files
 * (`checkpoint.ts`).
 */

import {
  dropout,
  embedding,
  gradients,
  Graph,
  headLoss,
  identity,
  lastRow,
  LOSS_SCALE_LENGTH,
  matmulTransposed,
  sample,
  SAMPLE_RING,
  type Tensor,
  tokenIndexLength,
} from "../gpu/mod.ts";
import {
  type Attend,
  attendBatch,
  attendCached,
  type BatchSize,
  rotationOf,
  weightsOf,
} from "./attention.ts";
import { block, type BlockParts, norm, type ParameterOf } from "./block.ts";
import type { ModelConfig } from "./config.ts";
import { parameterSpecs } from "./parameter_specs.ts";
import { SITES } from "./sites.ts";

/**
 * What of a step's forward pass is computed again in its backward pass, to save memory: nothing; what norms and the MLP's
 * activation give; or whole blocks.
 */
export const GRADIENT_CHECKPOINTING = ["none", "selective", "block"] as const;

/** One of {@link GRADIENT_CHECKPOINTING}. */
export type GradientCheckpointing = typeof GRADIENT_CHECKPOINTING[number];

/** A graph with the model's parameters in it. */
interface Scaffold {
  graph: Graph;
  parameter: ParameterOf;
  /** What logits are made with, [V, C]: the token embedding, or the head's own weights. */
  head: Tensor;
  /** Parameters that training changes. */
  trained: Tensor[];
}

function scaffold(c: ModelConfig): Scaffold {
  const graph = new Graph();
  const specs = parameterSpecs(c);
  const tensors = new Map(specs.map((s) => [s.name, graph.parameter(s.name, s.rows, s.cols)]));
  return {
    graph,
    parameter: (name) => tensors.get(name),
    head: tensors.get(c.tie_word_embeddings ? "wte.weight" : "lm_head.weight")!,
    trained: specs.filter(({ frozen }) => !frozen).map(({ name }) => tensors.get(name)!),
  };
}

/** The transformer up to ln_f. */
function transformer( // tokens [B * T] -> [B * T, C]
  { graph, parameter }: Scaffold,
  config: ModelConfig,
  options: {
    tokens: Tensor;
    T: number;
    index?: Tensor;
    training: boolean;
    attend: Attend;
    gradient_checkpointing?: GradientCheckpointing;
  },
): Tensor {
  const { tokens, T, index, training, attend, gradient_checkpointing: again } = options;
  const { embd_pdrop, resid_pdrop } = training ? config : { embd_pdrop: 0, resid_pdrop: 0 };
  const rotation = rotationOf(graph, config, T);
  let x = embedding(tokens, parameter("wte.weight")!, parameter("wpe.weight"), T, index); // [B * T, C]
  x = dropout(x, embd_pdrop, SITES.embedding);
  for (let layer = 0; layer < config.n_layer; layer++) {
    const cheap: BlockParts["cheap"] = again === "selective"
      ? (define) => graph.recompute(define, { keep: false })
      : (define) => define();
    const define = () => block(x, layer, { config, parameter, resid_pdrop, attend, rotation, cheap });
    const whole = again === "block" && layer < config.n_layer - 1; // the way back comes to the last block at once
    x = graph.scope(`h.${layer}`, () => whole ? graph.recompute(define, { keep: true }) : define());
  }
  return norm("ln_f", x, { config, parameter }); // [B * T, C]
}

/**
 * Loss and gradients of one micro-batch.
 * Inputs: `input_ids`, `targets` [B * T], `token_index`. Output: `losses` [ring], this micro-batch's at `step.slot`.
 *
 * @param micro_batches micro-batches of a step; the loss and its gradient are divided by it, and gradients add up
 * @param ring places of the ring of losses
 * @param loss_scale whether gradients are multiplied by the first number of a further input, `loss_scale`
 * @param gradient_checkpointing what is not kept for the backward pass, which computes it again. `selective`: what norms and the
 *   MLP's activation give, as llm.c's `-r 2` (github.com/karpathy/llm.c, train_gpt2.cu). `block`: all of a block but its input
 */
export function trainingGraph(
  c: ModelConfig,
  size: BatchSize & {
    micro_batches: number;
    ring: number;
    gradient_checkpointing?: GradientCheckpointing;
    loss_scale?: boolean;
  },
): Graph {
  const base = scaffold(c);
  const rows = size.B * size.T;
  const tokens = base.graph.input("input_ids", rows);
  const targets = base.graph.input("targets", rows);
  const index = base.graph.input("token_index", tokenIndexLength(rows));
  const attend = attendBatch(c, size, c.attn_pdrop);
  const lossScale = size.loss_scale === true
    ? base.graph.input("loss_scale", LOSS_SCALE_LENGTH, "f32")
    : undefined;
  const { T, gradient_checkpointing = "none" } = size;
  const x = transformer(base, c, { tokens, T, index, training: true, attend, gradient_checkpointing }); // [B * T, C]
  const loss = headLoss(x, base.head, targets, 1 / (rows * size.micro_batches), size.ring, lossScale);
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
  base.graph.output("losses", headLoss(x, base.head, targets, 1, size.ring));
  return base.graph;
}

/** All logits of a batch, without a cache. Input: `input_ids`. Output: `logits` [B * T, V]. */
export function logitsGraph(c: ModelConfig, size: BatchSize): Graph {
  const base = scaffold(c);
  const tokens = base.graph.input("input_ids", size.B * size.T);
  const x = transformer(base, c, { tokens, T: size.T, training: false, attend: attendBatch(c, size, 0) }); // [B * T, C]
  base.graph.output("logits", matmulTransposed(x, base.head)); // [B * T, V]
  return base.graph;
}

/**
 * The weights of attention of one layer, over a batch of whole sequences; the model may be of any kind. Input: `input_ids`.
 * Output: `weights` [B * n_head * T, T], 0 where a query does not see a key.
 */
export function attentionWeightsGraph(c: ModelConfig, size: BatchSize & { layer: number }): Graph {
  const base = scaffold(c);
  const tokens = base.graph.input("input_ids", size.B * size.T);
  const batch = attendBatch(c, size, 0);
  const attend: Attend = (qkv, layer) => {
    if (layer === size.layer) base.graph.output("weights", weightsOf(qkv, layer, c, size));
    return batch(qkv, layer);
  };
  transformer(base, c, { tokens, T: size.T, training: false, attend });
  return base.graph;
}

/**
 * N new tokens of each of B sequences behind `step.position` tokens that stand in the KV cache.
 * Input: `input_ids` [B * N], and those of `sampled`. Output: `logits` [B, V] of token `step.last` of each sequence, `tokens`.
 *
 * @param copies sequences that the cache holds, which all get the tokens of the only one (B is 1), and a token each
 */
export function cachedGraph(
  c: ModelConfig,
  { B, N, copies = B }: { B: number; N: number; copies?: number },
): Graph {
  const base = scaffold(c);
  const tokens = base.graph.input("input_ids", B * N);
  const attend = attendCached(base.graph, c, { B, N, copies });
  const x = transformer(base, c, { tokens, T: N, training: false, attend }); // [B * N, C]
  const logits = matmulTransposed(lastRow(x, B), base.head); // [B, V]
  sampled(base.graph, logits, copies, N === 1 && copies === B ? tokens : undefined);
  return base.graph;
}

/**
 * Adds what draws the next tokens. Inputs: `sampling` [4], `randoms` [16 * B], see `sample`. Outputs: `logits`, and `tokens`
 * [16 * B], of which a step fills those at `step.slot`.
 *
 * @param ids where the tokens go that are to go in next
 */
export function sampled(graph: Graph, logits: Tensor, B: number, ids: Tensor | undefined): void {
  const sampling = graph.input("sampling", 4);
  const randoms = graph.input("randoms", SAMPLE_RING * B, "f32");
  graph.output("logits", identity(logits)); // apart from those that the device reads, which may stand in a texture
  graph.output("tokens", sample(logits, sampling, randoms, ids));
}
