/** Sums of squares on the device, in a fixed order and two stages (see `norm.wgsl` and `total.wgsl`). */

import type { KernelProfile } from "../device.ts";
import type { KernelCache, ReadyDispatch } from "../kernel.ts";
import normWgsl from "./norm.wgsl" with { type: "text" };
import totalWgsl from "./total.wgsl" with { type: "text" };

/** Invocations that share a sum of squares: each leaves one number. */
export const NORM_LANES = 4096;

/** WGSL of `total_of_partial(lane)`, the second stage, over an array `partial` of `count` that the kernel declares. */
export function totalOf(count: number): string {
  return `const COUNT: u32 = ${count}u;\n${totalWgsl}`;
}

/**
 * Invocations of a workgroup. A vector of llvmpipe runs through its part of the range before the next one of its workgroup
 * starts: more than one vector a workgroup would read the range in stripes, at a third of the speed.
 */
function lanes(profile: KernelProfile): number {
  return profile === "gpu" ? 64 : 16;
}

/** The kernel that squares `count` vec4s of a buffer; its sums stand in `partial` from `first` on. */
export function prepareSquares(
  kernels: KernelCache,
  { label, profile, buffer, count, partial, first }: {
    label: string;
    profile: KernelProfile;
    buffer: GPUBufferBinding;
    count: number;
    partial: GPUBuffer;
    first: number;
  },
): ReadyDispatch {
  const size = lanes(profile);
  const groups = NORM_LANES / size;
  return kernels.prepare({
    label,
    code: `@group(0) @binding(0) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;
const COUNT: u32 = ${count}u;
const LANES: u32 = ${size}u;
const SEGMENT: u32 = ${Math.ceil(count / groups / size) * size}u;
const FIRST: u32 = ${first}u;
${normWgsl}`,
    bound: [
      { kind: "read", resource: buffer },
      { kind: "write", resource: { buffer: partial } },
    ],
    workgroups: [groups, 1, 1],
    flops: 8 * count,
    bytes: 16 * count,
  });
}
