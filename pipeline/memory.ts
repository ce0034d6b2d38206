/**
 * How much device memory a training takes, known before any of it is allocated, and whether the machine has it.
 * Left out: what the driver takes for itself, and the host's side (the corpus and a tensor or two).
 */

import { humanBytes, UserError } from "../common/mod.ts";
import {
  type Gpu,
  layoutParameters,
  orthogonalWork,
  type Plan,
  plan,
  planeBytes,
  type PlanTarget,
  statePlanes,
} from "../gpu/mod.ts";
import {
  evaluationGraph,
  generationPlans,
  type ModelConfig,
  parameterCount,
  parameterSpecs,
  trainedParameterCount,
  trainingPlan,
} from "../models/mod.ts";
import type { TrainingConfig } from "./config.ts";
import { BYTES_AHEAD } from "./read_ahead.ts";

/** Bytes of device memory, by what they are for. */
export interface TrainingMemory {
  weights: number;
  gradients: number;
  /** What the optimizer keeps from step to step, such as AdamW's two moments. */
  moments: number;
  /** What the optimizer takes beside within a step, such as Muon's matrices. */
  optimizer_work: number;
  /** Copies of the weights as kernels read them: textures, on adapters that read those faster, or half precision. */
  weight_copies: number;
  /** What a step keeps between forward and backward pass. */
  activations: number;
  /** Token ids and targets of a step. */
  inputs: number;
  /** What a step hands back: losses. */
  outputs: number;
  /** What an evaluation takes beside. */
  evaluation: number;
  /** What writing samples takes beside: the KV cache, and the little that one sequence needs. */
  kv_cache: number;
  samples: number;
  /** What reading the weights back for a checkpoint takes beside. */
  read_back: number;
  total: number;
}

/**
 * The memory that a training takes on an adapter. Allocates nothing.
 *
 * @param step the plan of a micro-batch, if it is known already
 * @throws UserError when a tensor is larger than the adapter's largest buffer.
 */
export function trainingMemory(
  model: ModelConfig,
  training: TrainingConfig,
  target: PlanTarget,
  step: Plan = trainingPlan(model, training, target),
): TrainingMemory {
  const layout = layoutParameters(
    parameterSpecs(model),
    target,
    training.optimizer,
    training.mixed_precision,
  );
  const { batch_size: B, max_seq_length: T } = training;
  const { one, chunk } = generationPlans(model, target, layout);
  const evaluation = plan(
    evaluationGraph(model, { B, T, ring: 256 }),
    target,
    layout,
    training.mixed_precision,
  );
  const parts = {
    weights: layout.planeBytes,
    gradients: layout.trainedBytes,
    moments: layout.stateBytes,
    optimizer_work: orthogonalWork(layout, target).bytes,
    weight_copies: layout.mirrorBytes,
    activations: step.memory.activations,
    inputs: step.memory.inputs,
    outputs: step.memory.outputs,
    evaluation: programBytes(evaluation),
    kv_cache: one.memory.states,
    samples: programBytes(one) - one.memory.states + programBytes(chunk) - chunk.memory.states,
    read_back: Math.min(BYTES_AHEAD, layout.trainedBytes + layout.stateBytes),
  };
  return { ...parts, total: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) };
}

function programBytes({ memory }: Plan): number {
  return memory.activations + memory.inputs + memory.states + memory.outputs;
}

/**
 * Bytes that a training takes at the very least: a number for each parameter, for each that is trained its gradient and what
 * any optimizer keeps of it, and the input of each layer for each token. Known at once, where planning something absurd
 * would itself take for ever.
 */
export function leastMemory(model: ModelConfig, training: TrainingConfig): number {
  const tokens = training.batch_size * training.max_seq_length;
  const state = statePlanes(training.optimizer, true).reduce((sum, plane) => sum + planeBytes(plane, 4), 0);
  return 4 * parameterCount(model) + (4 + state) * trainedParameterCount(model) +
    (training.mixed_precision === "f16" ? 2 : 4) * tokens * model.n_embd * model.n_layer;
}

/** More than any GPU has. */
const ABSURD_BYTES = 2 ** 40;

/**
 * Refuses a training that a software adapter's machine has no memory for. A GPU does not tell what it has; there,
 * running out is an error of the first step, if what is asked for is not absurd.
 *
 * @param available bytes that are free; what the system says, where it may be asked, by default
 * @throws UserError with both numbers and what to change
 */
export function checkMemory(
  memory: Pick<TrainingMemory, "total">,
  adapter: Pick<Gpu, "profile">,
  available: number | undefined = availableMemory(),
): void {
  const most = adapter.profile === "gpu" ? ABSURD_BYTES : available ?? ABSURD_BYTES;
  if (memory.total <= most) return;
  throw new UserError(
    `training would take ${humanBytes(memory.total)} of memory, there is at most ${humanBytes(most)}`,
    { hint: "lower training.batch_size, training.max_seq_length or the model's size" },
  );
}

/** Free memory in bytes; undefined where that may not be asked (`--allow-sys=systemMemoryInfo`). */
export function availableMemory(): number | undefined {
  try {
    return Deno.systemMemoryInfo().available;
  } catch {
    return undefined;
  }
}
