/**
 * The trainer's part of a checkpoint: with weights, moments and step, all that decides how training goes on. Batches,
 * dropout and the learning rate are pure functions of seed and step and need none.
 */

import { z } from "zod";
import { UserError, validate } from "../common/mod.ts";
import type { Dataset } from "../data/mod.ts";
import { NO_TIMES, timesSchema } from "./training_times.ts";

const step = z.int().min(0);

/** Schema of the state, as `state.json` of a checkpoint holds it. */
export const trainingStateSchema = z.strictObject({
  /** The last step after which there was an evaluation, a sample. What is due at the checkpoint's own step may come after it. */
  evaluated: step,
  sampled: step,
  /** Sum and number of the losses since the last line of metrics. */
  loss_sum: z.number(),
  loss_count: step,
  /** Last reported losses, in nats per token. */
  train_loss: z.number().nullable(),
  val_loss: z.number().nullable(),
  /** The last evaluation's, absent in checkpoints of before there was one. */
  val_bits_per_byte: z.number().nullable().default(null),
  /** The evaluation with the least loss. */
  best: z.strictObject({ step, val_loss: z.number() }).nullable(),
  /** Evaluations since then. */
  worse: step,
  early_stopped: z.boolean(),
  /** Seconds spent on steps, over all processes that trained the run. */
  seconds: z.number(),
  /** Where the loss scale stands, with training.mixed_precision. */
  loss_scale: z.strictObject({ scale: z.number().positive(), finite_steps: step }).optional(),
  /** Where the time went, absent in checkpoints of before it was measured. */
  times: timesSchema.default(NO_TIMES),
  /** What the run is trained on. */
  dataset: z.strictObject({ name: z.string(), source_digest: z.string(), tokens_digest: z.string() }),
});

/** The trainer's state. */
export type TrainingState = z.output<typeof trainingStateSchema>;

/** The state that a run begins with. */
export function initialState({ header }: Dataset): TrainingState {
  const { name, source_digest, tokens_digest } = header;
  return {
    evaluated: 0,
    sampled: 0,
    loss_sum: 0,
    loss_count: 0,
    train_loss: null,
    val_loss: null,
    val_bits_per_byte: null,
    best: null,
    worse: 0,
    early_stopped: false,
    seconds: 0,
    times: NO_TIMES,
    dataset: { name, source_digest, tokens_digest },
  };
}

/**
 * The state that a checkpoint holds, checked against the dataset that is to be trained on.
 *
 * @param file the checkpoint's folder, for errors
 * @throws UserError when the state is of another form, or the dataset is not the one that the run began with
 */
export function restoreState(saved: Record<string, unknown>, dataset: Dataset, file: string): TrainingState {
  const state = validate(trainingStateSchema, saved, { file });
  const { name, source_digest, tokens_digest } = dataset.header;
  if (tokens_digest === state.dataset.tokens_digest) return state;
  throw new UserError(
    source_digest === state.dataset.source_digest
      ? `the run was trained on ${state.dataset.name} with another tokenizer or split`
      : `the run was trained on another text than ${name} holds now (${state.dataset.name}, digest ` +
        `${state.dataset.source_digest.slice(0, 12)}; now ${source_digest.slice(0, 12)})`,
    { file, hint: "restore the corpus to go on with this run, or begin a new one" },
  );
}
