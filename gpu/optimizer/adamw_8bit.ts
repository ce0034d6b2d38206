/**
 * AdamW with both moments in 8 bits (Dettmers et al. 2021, "8-bit Optimizers via Block-wise Quantization", arXiv:2110.02861):
 * each block of 256 numbers has its own scale, its largest absolute value, and codes on the levels of `levels.ts`. A step
 * takes a block's moments up to float32, moves the weights by them as AdamW does, and quantizes the new moments. Weights
 * stay float32. Left out: the paper's stable embedding layer, which is a change of the model.
 */

import { lineGrid } from "../kernels/grid.ts";
import { STEP_WGSL } from "../lower.ts";
import { adamConstants } from "./adamw.ts";
import adamw8bitWgsl from "./adamw_8bit.wgsl" with { type: "text" };
import { LEVELS_WGSL, levelsWgsl } from "./levels.ts";
import { decayOf, floatConstants, planeBinding, rangesOf, type UpdateRule } from "./rule.ts";
import { BLOCK } from "./state.ts";

/** Bytes of weights whose scales begin at a multiple of 256 bytes, as bindings must. */
const RANGE_MULTIPLE = 256 * BLOCK;

/** The update: a workgroup for a block. */
export const adamw8bit: UpdateRule = (chunk, context) => {
  const { gpu, kernels, step, clip, options } = context;
  return rangesOf(chunk, gpu.maxBindingBytes, RANGE_MULTIPLE).map((range) => {
    const blocks = range.size / 4 / BLOCK;
    return kernels.prepare({
      label: "adamw 8-bit",
      code: `${STEP_WGSL}@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> value: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> exp_avg: array<u32>;
@group(0) @binding(4) var<storage, read_write> exp_avg_absmax: array<f32>;
@group(0) @binding(5) var<storage, read_write> exp_avg_sq: array<u32>;
@group(0) @binding(6) var<storage, read_write> exp_avg_sq_absmax: array<f32>;
@group(0) @binding(7) var<storage, read> clip: array<f32>;
const BLOCKS: u32 = ${blocks}u;
const ROW: u32 = ${lineGrid(blocks, 1)[0]}u;
${floatConstants({ ...adamConstants(options), DECAY: decayOf(chunk, options) })}${LEVELS_WGSL}${
        levelsWgsl(true)
      }${levelsWgsl(false)}
${adamw8bitWgsl}`,
      bound: [
        { kind: "uniform", resource: { buffer: step } },
        { kind: "write", resource: planeBinding(range, "value") },
        { kind: "read", resource: planeBinding(range, "gradient") },
        { kind: "write", resource: planeBinding(range, "exp_avg", 1) },
        { kind: "write", resource: planeBinding(range, "exp_avg_absmax", 4 / BLOCK) },
        { kind: "write", resource: planeBinding(range, "exp_avg_sq", 1) },
        { kind: "write", resource: planeBinding(range, "exp_avg_sq_absmax", 4 / BLOCK) },
        { kind: "read", resource: { buffer: clip } },
      ],
      workgroups: lineGrid(blocks, 1),
      flops: 16 * blocks * BLOCK,
      bytes: range.size * 4 + blocks * 16,
    });
  });
};
