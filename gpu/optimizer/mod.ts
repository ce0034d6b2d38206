/**
 * The optimizer step on the device: global gradient norm, clipping, AdamW, and the renewal of texture copies. It runs
 * over the whole ranges of the parameter store, not over single parameters.
 */

import type { Gpu } from "../device.ts";
import { type KernelCache, type ReadyDispatch } from "../kernel.ts";
import { lineGrid, linePlace } from "../kernels/grid.ts";
import { floatLiteral, STEP_WGSL } from "../lower.ts";
import type { Chunk, ParameterStore, Plane } from "../parameters.ts";
import { encodePass, type Profiler } from "../profile.ts";
import { packStep, type StepValues } from "../program.ts";
import adamwWgsl from "./adamw.wgsl" with { type: "text" };
import clipWgsl from "./clip.wgsl" with { type: "text" };
import normWgsl from "./norm.wgsl" with { type: "text" };

/** Settings of AdamW and clipping. */
export interface OptimizerOptions {
  beta1: number;
  beta2: number;
  epsilon: number;
  weight_decay: number;
  /** Largest global gradient norm; 0 does not clip. */
  grad_clip: number;
  /** Places of the ring of gradient norms. */
  ring: number;
}

interface Range {
  chunk: Chunk;
  /** Bytes. */
  offset: number;
  size: number;
}

/** Invocations that share the sum of squares of one range. */
const NORM_LANES = 4096;

/** AdamW over a parameter store. */
export class Optimizer {
  /** Gradient norms before clipping, `[ring]`; step s stands at `step.slot`. */
  readonly norms: GPUBuffer;
  readonly #gpu: Gpu;
  readonly #store: ParameterStore;
  readonly #step: GPUBuffer;
  readonly #owned: GPUBuffer[] = [];
  readonly #ready: ReadyDispatch[] = [];

  constructor(gpu: Gpu, store: ParameterStore, kernels: KernelCache, options: OptimizerOptions) {
    this.#gpu = gpu;
    this.#store = store;
    const ranges = rangesOf(store.trained, gpu.maxBindingBytes);
    this.#step = this.#buffer(32, GPUBufferUsage.UNIFORM);
    this.norms = this.#buffer(options.ring * 4, GPUBufferUsage.STORAGE);
    const partial = this.#buffer(ranges.length * NORM_LANES * 4, GPUBufferUsage.STORAGE);
    const clip = this.#buffer(16, GPUBufferUsage.STORAGE);
    this.#prepareNorm(kernels, ranges, partial);
    this.#prepareClip(kernels, ranges.length * NORM_LANES, partial, clip, options);
    for (const range of ranges) this.#prepareAdamw(kernels, range, clip, options);
  }

  #buffer(size: number, usage: number): GPUBuffer {
    const buffer = this.#gpu.device.createBuffer({
      label: "optimizer",
      size: Math.ceil(size / 16) * 16,
      usage: usage | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    this.#owned.push(buffer);
    return buffer;
  }

  #prepareNorm(kernels: KernelCache, ranges: Range[], partial: GPUBuffer): void {
    ranges.forEach((range, i) => {
      const count = range.size / 16;
      this.#ready.push(kernels.prepare({
        label: "gradient norm",
        code: `@group(0) @binding(0) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
const COUNT: u32 = ${count}u;
const SEGMENT: u32 = ${Math.ceil(count / (NORM_LANES / 64) / 64) * 64}u;
const FIRST: u32 = ${i * NORM_LANES}u;
${normWgsl}`,
        bound: [
          { kind: "read", resource: plane(range, "gradient") },
          { kind: "write", resource: { buffer: partial } },
        ],
        workgroups: [NORM_LANES / 64, 1, 1],
        flops: 8 * count,
        bytes: range.size,
      }));
    });
  }

  #prepareClip(
    kernels: KernelCache,
    count: number,
    partial: GPUBuffer,
    clip: GPUBuffer,
    options: OptimizerOptions,
  ): void {
    this.#ready.push(kernels.prepare({
      label: "gradient clip",
      code: `${STEP_WGSL}@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> clip: array<f32>;
@group(0) @binding(3) var<storage, read_write> norms: array<f32>;
const COUNT: u32 = ${count}u;
const MAX_NORM: f32 = ${floatLiteral(options.grad_clip)};
${clipWgsl}`,
      bound: [
        { kind: "uniform", resource: { buffer: this.#step } },
        { kind: "read", resource: { buffer: partial } },
        { kind: "write", resource: { buffer: clip } },
        { kind: "write", resource: { buffer: this.norms } },
      ],
      workgroups: [1, 1, 1],
      flops: count,
      bytes: count * 4,
    }));
  }

  #prepareAdamw(kernels: KernelCache, range: Range, clip: GPUBuffer, options: OptimizerOptions): void {
    const count = range.size / 16;
    this.#ready.push(kernels.prepare({
      label: "adamw",
      code: `${STEP_WGSL}@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> value: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> exp_avg: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> exp_avg_sq: array<vec4f>;
@group(0) @binding(5) var<storage, read> clip: array<f32>;
const BETA1: f32 = ${floatLiteral(options.beta1)};
const BETA2: f32 = ${floatLiteral(options.beta2)};
const BETA1_REST: f32 = ${floatLiteral(1 - options.beta1)};
const BETA2_REST: f32 = ${floatLiteral(1 - options.beta2)};
const EPSILON: f32 = ${floatLiteral(options.epsilon)};
const DECAY: f32 = ${floatLiteral(range.chunk.decay ? options.weight_decay : 0)};
${adamwWgsl.replace("PLACE", linePlace(count, 64))}`,
      bound: [
        { kind: "uniform", resource: { buffer: this.#step } },
        { kind: "write", resource: plane(range, "value") },
        { kind: "read", resource: plane(range, "gradient") },
        { kind: "write", resource: plane(range, "exp_avg") },
        { kind: "write", resource: plane(range, "exp_avg_sq") },
        { kind: "read", resource: { buffer: clip } },
      ],
      workgroups: lineGrid(count, 64),
      flops: 16 * count * 4,
      bytes: range.size * 7,
    }));
  }

  /** Sets learning rate, bias corrections and the ring's place for the next update. */
  setStep(values: StepValues): void {
    this.#gpu.device.queue.writeBuffer(this.#step, 0, packStep(values));
  }

  /** The dispatches in their order, for profiles. */
  get dispatches(): ReadyDispatch[] {
    return this.#ready;
  }

  /** Records the update. */
  encode(encoder: GPUCommandEncoder, profiler?: Profiler): void {
    encodePass(encoder, this.#ready, profiler);
    this.#store.encodeMirrors(encoder);
  }

  /** Records the clearing of all gradients, for steps of several micro-batches. */
  encodeClear(encoder: GPUCommandEncoder): void {
    for (const chunk of this.#store.trained) encoder.clearBuffer(chunk.planes.get("gradient")!);
  }

  /** Frees the optimizer's own small buffers. */
  destroy(): void {
    for (const buffer of this.#owned) buffer.destroy();
  }
}

/** Cuts chunks into ranges that fit one binding. */
function rangesOf(chunks: Chunk[], maxBinding: number): Range[] {
  return chunks.flatMap((chunk) =>
    Array.from({ length: Math.ceil(chunk.size / maxBinding) }, (_, i) => ({
      chunk,
      offset: i * maxBinding,
      size: Math.min(maxBinding, chunk.size - i * maxBinding),
    }))
  );
}

function plane(range: Range, name: Plane): GPUBufferBinding {
  return { buffer: range.chunk.planes.get(name)!, offset: range.offset, size: range.size };
}
