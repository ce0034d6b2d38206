/**
 * The optimizer step on the device: global gradient norm, clipping, the update, and the renewal of texture copies. It runs
 * over the whole ranges of the parameter store, not over single parameters. The updates stand in files of their own.
 */

import type { Gpu } from "../device.ts";
import { type KernelCache, type ReadyDispatch } from "../kernel.ts";
import { floatLiteral, STEP_WGSL } from "../lower.ts";
import type { ParameterStore } from "../parameters.ts";
import { encodePass, type Profiler } from "../profile.ts";
import { packStep, type StepValues } from "../program.ts";
import clipWgsl from "./clip.wgsl" with { type: "text" };
import { LOSS_SCALE_WGSL } from "./loss_scale.ts";
import { NORM_LANES, prepareSquares, totalOf } from "./norm.ts";
import { type OptimizerOptions, planeBinding, rangesOf } from "./rule.ts";
import { RULES } from "./rules.ts";
import { defaultMomentum } from "./state.ts";

/** An optimizer over a parameter store, which must have been made for it. */
export class Optimizer {
  /** Gradient norms before clipping, `[ring]`; step s stands at `step.slot`. */
  readonly norms: GPUBuffer;
  /** Loss scales that steps were made with, `[ring]`; undefined where there is no loss scale. */
  readonly scales: GPUBuffer | undefined;
  readonly #gpu: Gpu;
  readonly #store: ParameterStore;
  readonly #step: GPUBuffer;
  readonly #owned: { destroy(): void }[] = [];
  readonly #ready: ReadyDispatch[] = [];

  /**
   * @param options with `ring`: places of the ring of gradient norms
   * @param lossScale what gradients were multiplied by: `[scale, steps since it changed]`, renewed by each update
   */
  constructor(
    gpu: Gpu,
    store: ParameterStore,
    kernels: KernelCache,
    options: OptimizerOptions & { ring: number },
    lossScale?: GPUBuffer,
  ) {
    this.#gpu = gpu;
    this.#store = store;
    const optimizer = options.optimizer ?? "adamw";
    const momentum = options.momentum ?? defaultMomentum(optimizer);
    const ranges = store.trained.flatMap((chunk) => rangesOf(chunk, gpu.maxBindingBytes));
    const step = this.#step = this.#buffer(32, GPUBufferUsage.UNIFORM);
    this.norms = this.#buffer(options.ring * 4, GPUBufferUsage.STORAGE);
    this.scales = lossScale === undefined
      ? undefined
      : this.#buffer(options.ring * 4, GPUBufferUsage.STORAGE);
    const partial = this.#buffer(ranges.length * NORM_LANES * 4, GPUBufferUsage.STORAGE);
    const clip = this.#buffer(16, GPUBufferUsage.STORAGE);
    ranges.forEach((range, i) => {
      this.#ready.push(prepareSquares(kernels, {
        label: "gradient norm",
        profile: gpu.profile,
        buffer: planeBinding(range, "gradient"),
        count: range.size / 16,
        partial,
        first: i * NORM_LANES,
      }));
    });
    this.#prepareClip(kernels, ranges.length * NORM_LANES, partial, clip, options, lossScale);
    const own = <T extends { destroy(): void }>(resource: T): T => {
      this.#owned.push(resource);
      return resource;
    };
    const settings = { ...options, optimizer, momentum };
    const context = { gpu, kernels, store, options: settings, step, clip, own };
    for (const chunk of store.trained) this.#ready.push(...RULES[optimizer](chunk, context));
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

  #prepareClip(
    kernels: KernelCache,
    count: number,
    partial: GPUBuffer,
    clip: GPUBuffer,
    options: OptimizerOptions,
    lossScale: GPUBuffer | undefined,
  ): void {
    const scaled = lossScale === undefined ? [] : [lossScale, this.scales!];
    this.#ready.push(kernels.prepare({
      label: "gradient clip",
      code: `${STEP_WGSL}@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> clip: array<f32>;
@group(0) @binding(3) var<storage, read_write> norms: array<f32>;
${
        lossScale === undefined ? "" : `@group(0) @binding(4) var<storage, read_write> loss_scale: array<f32>;
@group(0) @binding(5) var<storage, read_write> scales: array<f32>;
`
      }const MAX_NORM: f32 = ${floatLiteral(options.grad_clip)};
${totalOf(count)}${lossScale === undefined ? clipWgsl : LOSS_SCALE_WGSL}`,
      bound: [
        { kind: "uniform", resource: { buffer: this.#step } },
        { kind: "read", resource: { buffer: partial } },
        { kind: "write", resource: { buffer: clip } },
        { kind: "write", resource: { buffer: this.norms } },
        ...scaled.map((buffer) => ({ kind: "write" as const, resource: { buffer } })),
      ],
      workgroups: [1, 1, 1],
      flops: count,
      bytes: count * 4,
    }));
  }

  /** Sets learning rate, bias corrections and the ring's place for the next update. */
  setStep(values: StepValues): void {
    this.#gpu.device.queue.writeBuffer(this.#step, 0, packStep(values));
  }

  /** The dispatches in their order, for profiles. */
  get dispatches(): ReadyDispatch[] {
    return [...this.#ready, ...this.#store.conversions];
  }

  /** Records the update. */
  encode(encoder: GPUCommandEncoder, profiler?: Profiler): void {
    encodePass(encoder, this.#ready, profiler);
    this.#store.encodeMirrors(encoder, false, profiler);
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
