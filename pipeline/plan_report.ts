/** What a training would take, known before anything is allocated: memory by purpose, the largest tensors, work a step. */

import { type Gpu, layoutParameters, orthogonalWork, type Plan, type PlanTarget } from "../gpu/mod.ts";
import {
  type ModelConfig,
  parameterCount,
  parameters,
  parameterSpecs,
  trainedParameterCount,
  trainingPlan,
} from "../models/mod.ts";
import type { TrainingConfig } from "./config.ts";
import { availableMemory, checkMemory, leastMemory, type TrainingMemory, trainingMemory } from "./memory.ts";

/** Tensors that are listed. */
const LARGEST = 10;

/** Floating-point operations of AdamW, and of the gradient's norm, for one parameter; the other optimizers take no more but for Muon's products. */
const OPTIMIZER_FLOPS = 18;

/** One of the largest things in memory. */
export interface LargeTensor {
  name: string;
  /** `weight` is a parameter's plane of weights, or of gradients; `activation` a block that tensors of different lifetimes share. */
  kind: "weight" | "activation";
  bytes: number;
}

/** The plan of a training. */
export interface PlanReport {
  adapter: string;
  parameters: number;
  batch_size: number;
  max_seq_length: number;
  accumulate_grad_batches: number;
  tokens_per_step: number;
  flops_per_step: number;
  /** Kernels that a micro-batch starts. */
  dispatches: number;
  /** Bytes. */
  memory: TrainingMemory;
  largest_tensors: LargeTensor[];
  /** Largest buffer, and largest part of it that a kernel may bind, of this adapter. */
  max_buffer_bytes: number;
  max_storage_binding_bytes: number;
  /** Bytes that are free, for software adapters, which use the machine's memory; null where it is not known. */
  available_bytes: number | null;
  /** Whether it fits what is free; null where that is not known. */
  fits: boolean | null;
}

/**
 * Plans a training. Allocates nothing on the device.
 *
 * @throws UserError when a tensor is larger than the adapter's largest buffer, or all is absurdly large, with what to change.
 */
export function planReport(model: ModelConfig, training: TrainingConfig, gpu: Gpu): PlanReport {
  const { batch_size, max_seq_length, accumulate_grad_batches } = training;
  // Only what no machine has is refused here, since planning it would itself take for ever; the rest is reported.
  checkMemory({ total: leastMemory(model, training) }, { profile: "gpu" });
  const plan = trainingPlan(model, training, gpu);
  const memory = trainingMemory(model, training, gpu, plan);
  const count = parameterCount(model);
  const available = gpu.profile === "gpu" ? undefined : availableMemory();
  return {
    adapter: gpu.adapter.name,
    parameters: count,
    batch_size,
    max_seq_length,
    accumulate_grad_batches,
    tokens_per_step: batch_size * max_seq_length * accumulate_grad_batches,
    flops_per_step: flopsPerStep(model, training, plan, gpu),
    dispatches: plan.dispatches.length,
    memory,
    largest_tensors: largest(model, training, plan, gpu),
    max_buffer_bytes: gpu.maxBufferBytes,
    max_storage_binding_bytes: gpu.maxBindingBytes,
    available_bytes: available ?? null,
    fits: available === undefined ? null : memory.total <= available,
  };
}

/**
 * Floating-point operations of an optimizer step: of all its kernels, each counted as its room says.
 *
 * @param plan of one of the step's micro-batches
 * @param target the adapter that it is planned for
 */
export function flopsPerStep(
  model: ModelConfig,
  training: TrainingConfig,
  plan: Plan,
  target: PlanTarget,
): number {
  const layout = layoutParameters(parameterSpecs(model), target, training.optimizer);
  const { flops } = orthogonalWork(layout, target);
  return plan.flops * training.accumulate_grad_batches + OPTIMIZER_FLOPS * trainedParameterCount(model) +
    flops;
}

function largest(
  model: ModelConfig,
  { optimizer }: TrainingConfig,
  { blocks }: Plan,
  gpu: Gpu,
): LargeTensor[] {
  const { slots } = layoutParameters(parameterSpecs(model), gpu, optimizer);
  const weights = parameters(model).map(({ name }): LargeTensor => {
    const { rows, pitch } = slots.get(name)!.storage;
    return { name, kind: "weight", bytes: rows * pitch * 16 };
  });
  const activations = blocks.map(({ tensors, bytes }): LargeTensor => {
    const others = tensors.length === 1 ? "" : ` and ${tensors.length - 1} more in turn`;
    return { name: tensors[0]!.tensor.name + others, kind: "activation", bytes };
  });
  return [...weights, ...activations].sort((a, b) => b.bytes - a.bytes).slice(0, LARGEST);
}
