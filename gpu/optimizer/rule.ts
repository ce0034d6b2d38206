/**
 * What the optimizers have in common: how one of them turns a chunk of the parameter store into dispatches. Each stands in a
 * file of its own with its formula and source; `mod.ts` picks one and runs it behind the norm and the clipping.
 */

import type { Gpu } from "../device.ts";
import type { KernelCache, ReadyDispatch } from "../kernel.ts";
import { lineRuns } from "../kernels/grid.ts";
import { floatLiteral, STEP_WGSL } from "../lower.ts";
import type { Chunk, ParameterStore, Plane } from "../parameters.ts";
import type { OptimizerName } from "./state.ts";

/** Settings of an optimizer and of clipping. Those that the optimizer does not know have no effect. */
export interface OptimizerOptions {
  /** @default "adamw" */
  optimizer?: OptimizerName;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Memory of `muon` and `sgd`. @default 0.95 for muon, 0.9 for sgd */
  momentum?: number;
  weight_decay: number;
  /** Largest global gradient norm; 0 does not clip. */
  grad_clip: number;
}

/** What a rule works with. */
export interface UpdateContext {
  gpu: Gpu;
  kernels: KernelCache;
  store: ParameterStore;
  options: Required<OptimizerOptions>;
  /** The uniform `step`. */
  step: GPUBuffer;
  /** `[factor, 1 if finite]`: what gradients are multiplied with, and whether the step is made at all. */
  clip: GPUBuffer;
  /** Hands over what is to be freed with the optimizer. */
  own<T extends { destroy(): void }>(resource: T): T;
}

/** An optimizer: the dispatches that update the parameters of a chunk, in their order. */
export type UpdateRule = (chunk: Chunk, context: UpdateContext) => ReadyDispatch[];

/** A part of a chunk that fits one binding, in bytes of its weights. */
export interface Range {
  chunk: Chunk;
  offset: number;
  size: number;
}

/** Cuts a chunk into ranges that fit one binding; all but the last are of a multiple of `multiple` bytes. */
export function rangesOf(chunk: Chunk, maxBinding: number, multiple = 256): Range[] {
  const most = Math.floor(maxBinding / multiple) * multiple;
  return Array.from({ length: Math.ceil(chunk.size / most) }, (_, i) => ({
    chunk,
    offset: i * most,
    size: Math.min(most, chunk.size - i * most),
  }));
}

/** The binding of a range in a plane of 4 bytes a weight, or of `bytesPerWeight`. */
export function planeBinding(range: Range, name: Plane, bytesPerWeight = 4): GPUBufferBinding {
  const share = bytesPerWeight / 4;
  return {
    buffer: range.chunk.planes.get(name)!,
    offset: range.offset * share,
    size: range.size * share,
  };
}

/** `const NAME: f32 = value;` of each. */
export function floatConstants(values: Record<string, number>): string {
  return Object.entries(values).map(([name, value]) => `const ${name}: f32 = ${floatLiteral(value)};\n`).join(
    "",
  );
}

/** How strongly weights of a chunk decay. */
export function decayOf(chunk: Chunk, options: Required<OptimizerOptions>): number {
  return chunk.decay ? options.weight_decay : 0;
}

/** An update that looks at one weight at a time. */
export interface ElementwiseUpdate {
  label: string;
  /** Planes of state, float32, that the kernel changes. */
  planes: Plane[];
  /** Float constants of the kernel. */
  constants: Record<string, number>;
  /** WGSL of `update(index)`, which counts vec4s; it is not called for a step that is not to be made. */
  wgsl: string;
  /** Operations for one weight. */
  flops: number;
}

/** The dispatches of an element-wise update over a whole chunk, four weights at a time. */
export function elementwise(
  chunk: Chunk,
  context: UpdateContext,
  update: ElementwiseUpdate,
): ReadyDispatch[] {
  const { gpu, kernels, step, clip } = context;
  const { label, planes, constants, wgsl, flops } = update;
  const declared = planes.map((name, i) =>
    `@group(0) @binding(${3 + i}) var<storage, read_write> ${name}: array<vec4f>;\n`
  );
  return rangesOf(chunk, gpu.maxBindingBytes).map((range) => {
    const count = range.size / 16;
    const runs = lineRuns(gpu.profile, count, "clip[1] != 0.0");
    return kernels.prepare({
      label,
      code: `${STEP_WGSL}@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> value: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
${declared.join("")}@group(0) @binding(${3 + planes.length}) var<storage, read> clip: array<f32>;
${floatConstants(constants)}${wgsl}
@compute @workgroup_size(${runs.size}) fn main(${runs.builtins}) {
${runs.begin}    update(index);
  }
}
`,
      bound: [
        { kind: "uniform", resource: { buffer: step } },
        { kind: "write", resource: planeBinding(range, "value") },
        { kind: "read", resource: planeBinding(range, "gradient") },
        ...planes.map((name) => ({ kind: "write" as const, resource: planeBinding(range, name) })),
        { kind: "read", resource: { buffer: clip } },
      ],
      workgroups: runs.workgroups,
      flops: flops * count * 4,
      bytes: range.size * (3 + 2 * planes.length),
    });
  });
}
