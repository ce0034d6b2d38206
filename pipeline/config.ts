/**
 * What is done to a model: the sections `training`, `generation` and `tracking` of a config. Each field has its
 * meaning and default here; `run_config.ts` reads the files. The section `model` is in `models/`, `data` in `data/`.
 */
import { z } from "zod";
import { defaultMomentum, MIXED_PRECISION, OPTIMIZERS } from "../gpu/mod.ts";
import { GRADIENT_CHECKPOINTING, LORA_TARGETS } from "../models/mod.ts";
import { SCHEDULES } from "./schedule.ts";

const count = (description: string) => z.int().min(1).describe(description);
const countOrNone = (description: string) => z.int().min(0).describe(description);
const fraction = (description: string) => z.number().min(0).lt(1).describe(description);
const seed = (description: string) => z.int().min(0).max(2 ** 32 - 1).describe(description);

/** The fields of `training.lora`. */
const loraSchema = z.strictObject({
  rank: count("rank of the adapters: more can learn more").default(8),
  alpha: z.number().positive().describe("adapters are multiplied by alpha / rank").default(16),
  targets: z.array(z.enum(LORA_TARGETS)).min(1).describe("linear layers that get an adapter, by name")
    .default(["c_attn"]),
});

/** The fields of the section `training`. A step is an optimizer step. */
export const trainingSectionSchema = z.strictObject({
  max_steps: count("steps to train").default(2000),
  batch_size: count("sequences that pass through the model at once").default(12),
  max_seq_length: count("tokens of a training sequence; n_positions when left out").optional(),
  accumulate_grad_batches: count("batches whose gradients are averaged into one step").default(1),
  init_from: z.string().min(1).optional()
    .describe("fine-tuning: folder of the model whose weights, shape and tokenizer training begins with"),
  lora: loraSchema.optional()
    .describe(
      "fine-tuning: train adapters of low rank (rank, alpha, targets) and leave the model's weights as they are",
    ),
  gradient_checkpointing: z.enum(GRADIENT_CHECKPOINTING)
    .describe(
      "what the backward pass computes again, for less memory: selective: norms and the MLP's activation; block: whole blocks",
    )
    .default("none"),
  mixed_precision: z.enum(MIXED_PRECISION)
    .describe("f16: activations and copies of weights in half precision, for less memory; sums stay float32")
    .default("none"),
  optimizer: z.enum(OPTIMIZERS).describe(
    "how weights move by their gradients; docs/optimizers.md compares them",
  )
    .default("adamw"),
  learning_rate: z.number().positive().describe("highest learning rate, reached after the warmup").default(
    1e-3,
  ),
  min_learning_rate: z.number().min(0).optional()
    .describe("learning rate at the end; a tenth of learning_rate when left out"),
  beta1: fraction(
    "adamw, adamw_8bit, muon: memory of the gradient's mean; lion: of the mean that it moves by",
  )
    .default(0.9),
  beta2: fraction(
    "adamw, adamw_8bit, muon: memory of the squared gradient's mean; lion: of the mean that it keeps",
  )
    .default(0.95),
  epsilon: z.number().positive().describe("adamw, adamw_8bit, muon: added to the denominator").default(1e-8),
  momentum: fraction("muon, sgd: memory of the sum of gradients; 0.95 for muon and 0.9 for sgd when left out")
    .optional(),
  weight_decay: z.number().min(0).describe("decay of matrices (not of biases and LayerNorm)").default(0.1),
  grad_clip: z.number().min(0).describe("largest norm of the gradient over all parameters; 0: no clipping")
    .default(1),
  lr_schedule: z.enum(SCHEDULES).describe("how the learning rate falls after the warmup").default("cosine"),
  warmup_steps: countOrNone("steps over which the learning rate rises").default(100),
  decay_steps: countOrNone("wsd: steps of the fall at the end; a fifth of max_steps when left out")
    .optional(),
  log_interval: count("steps from one line of metrics to the next").default(10),
  eval_interval: countOrNone("steps from one evaluation to the next; 0: only at the end").default(250),
  eval_batches: count("validation batches of an evaluation during training").default(20),
  sample_interval: countOrNone("steps from one sample of text to the next; 0: only at the end").default(500),
  checkpoint_interval: countOrNone("steps from one checkpoint to the next; 0: only at the end").default(500),
  keep_checkpoints: count("how many of the newest checkpoints stay, beside the best").default(2),
  early_stopping_patience: count(
    "evaluations without a better loss after which training stops; left out: never",
  )
    .optional(),
  seed: seed("seed of initial weights, order of data and dropout").default(1),
  tune: z.boolean().describe(
    "true: kernels get the tiles that were tuned for this machine, and a long run tunes them before it begins",
  ).default(true),
}).check(({ value, issues }) => {
  const { learning_rate: high, min_learning_rate: low } = value;
  if (low !== undefined && low > high) {
    issues.push({
      code: "custom",
      path: ["min_learning_rate"],
      input: low,
      message: `${low} is more than learning_rate ${high}`,
    });
  }
});

/** The section `training` with nothing open. */
export type TrainingConfig =
  & Omit<
    z.output<typeof trainingSectionSchema>,
    "max_seq_length" | "min_learning_rate" | "momentum" | "decay_steps"
  >
  & { max_seq_length: number; min_learning_rate: number; momentum: number; decay_steps: number };

/** Fills in what depends on other fields: the sequence's length, the lowest learning rate, momentum, the length of the fall. */
export function trainingConfig(
  section: z.output<typeof trainingSectionSchema>,
  n_positions: number,
): TrainingConfig {
  return {
    ...section,
    max_seq_length: section.max_seq_length ?? n_positions,
    min_learning_rate: section.min_learning_rate ?? section.learning_rate / 10,
    momentum: section.momentum ?? defaultMomentum(section.optimizer),
    decay_steps: section.decay_steps ?? Math.round(section.max_steps / 5),
  };
}

/** The fields of the section `generation`. */
export const generationSectionSchema = z.strictObject({
  prompt: z.string().min(1).describe("text to go on from").default("\n"),
  max_new_tokens: count("tokens to generate").default(300),
  temperature: z.number().min(0).describe("below 1 bolder, above 1 wilder; 0: always the likeliest token")
    .default(0.8),
  top_k: countOrNone("only the k likeliest tokens are eligible; 0: all").default(0),
  top_p: z.number().gt(0).lte(1).describe("only the likeliest tokens that reach this probability; 1: all")
    .default(1),
  seed: seed("seed of the choice of tokens").default(1),
  num_samples: count("how many texts").default(1),
  precision: z.enum(["f32", "f16"])
    .describe("how weights stand while decoding; f16 reads half the bytes and changes logits a little")
    .default("f32"),
  stop: z.array(z.string().min(1)).describe("texts at which generation ends").default([]),
});

/** The section `generation`, defaults filled in. */
export type GenerationConfig = z.output<typeof generationSectionSchema>;

/** The fields of the section `tracking`. */
export const trackingSectionSchema = z.strictObject({
  runs_dir: z.string().min(1).describe("folder that holds the runs").default("runs"),
  name: z.string().regex(/^[\w-][\w.-]*$/, "text of letters, digits, _, - and .").optional()
    .describe("first part of the run's folder; the config's name when left out"),
  tags: z.array(z.string()).describe("labels to find the run by").optional(),
  notes: z.string().describe("words about the run").optional(),
  monitor_interval: z.number().min(0)
    .describe("seconds from one line of system.jsonl (memory, power, GPU use, …) to the next; 0: none")
    .default(10),
});

/** The section `tracking`, defaults filled in. */
export type TrackingConfig = z.output<typeof trackingSectionSchema>;
