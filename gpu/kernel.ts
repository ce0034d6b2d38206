/** Compiling WGSL to pipelines and binding resources: the thin layer over WebGPU that programs and the optimizer share. */

import type { Gpu } from "./device.ts";
import type { Phase } from "./graph.ts";

/** What a binding holds, in the order of binding numbers. */
export type Bound =
  | { kind: "uniform"; resource: GPUBufferBinding }
  | { kind: "read" | "write"; resource: GPUBufferBinding }
  | { kind: "texture-read" | "texture-write"; resource: GPUTexture };

/** A dispatch ready to be encoded. */
export interface ReadyDispatch {
  label: string;
  /** Of a program's dispatches, which half of the step they belong to. */
  phase?: Phase;
  /** Whether it computes again what an earlier one did. */
  repeats?: boolean;
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  workgroups: [number, number, number];
  flops: number;
  bytes: number;
}

/** A kernel as it was first prepared. */
export interface KernelSource {
  label: string;
  code: string;
  bound: Bound[];
}

/** Compiles each distinct kernel once. */
export class KernelCache {
  /** The distinct kernels, in the order in which they were first prepared. */
  readonly sources: KernelSource[] = [];
  readonly #gpu: Gpu;
  readonly #pipelines = new Map<string, { pipeline: GPUComputePipeline; layout: GPUBindGroupLayout }>();

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Makes the pipeline (if new) and the bind group of a kernel. Invalid WGSL shows at the next `gpu.check()`, with the label. */
  prepare(
    spec: {
      label: string;
      code: string;
      bound: Bound[];
      workgroups: [number, number, number];
      flops: number;
      bytes: number;
    },
  ): ReadyDispatch {
    const { device } = this.#gpu;
    const kinds = spec.bound.map((b) => b.kind).join();
    const key = `${kinds}\n${spec.code}`;
    let made = this.#pipelines.get(key);
    if (made === undefined) {
      const layout = device.createBindGroupLayout({
        label: spec.label,
        entries: spec.bound.map((b, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          ...layoutEntry(b),
        })),
      });
      const pipeline = device.createComputePipeline({
        label: spec.label,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: {
          module: device.createShaderModule({ label: spec.label, code: spec.code }),
          entryPoint: "main",
        },
      });
      made = { pipeline, layout };
      this.#pipelines.set(key, made);
      this.sources.push({ label: spec.label, code: spec.code, bound: spec.bound });
    }
    const bindGroup = device.createBindGroup({
      label: spec.label,
      layout: made.layout,
      entries: spec.bound.map((b, binding) => ({
        binding,
        resource: b.kind === "texture-read" || b.kind === "texture-write"
          ? b.resource.createView()
          : b.resource,
      })),
    });
    const { label, workgroups, flops, bytes } = spec;
    return { label, pipeline: made.pipeline, bindGroup, workgroups, flops, bytes };
  }
}

function layoutEntry(b: Bound): Partial<GPUBindGroupLayoutEntry> {
  switch (b.kind) {
    case "uniform":
      return { buffer: { type: "uniform" } };
    case "read":
      return { buffer: { type: "read-only-storage" } };
    case "write":
      return { buffer: { type: "storage" } };
    case "texture-read":
      return { storageTexture: { access: "read-only", format: b.resource.format } };
    case "texture-write":
      return { storageTexture: { access: "write-only", format: b.resource.format } };
  }
}
