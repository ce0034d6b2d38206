/**
 * Kernels that make one token of each of a few sequences: linear layers over packed weights and attention over a cache.
 * They are written for llvmpipe, whose subgroups are vectors; elsewhere the general kernels decode.
 */

import type { PlanTarget } from "../../plan.ts";
import { vectorLanes } from "../lanes.ts";

export { decodeAttention } from "./attention.ts";
export { type DecodeCache, decodeLinear, type DecodeNorm } from "./linear.ts";
export { type PackedWeight, packedWeight, packWeight, type WeightPrecision } from "./packed.ts";

/** Lanes of a subgroup on an adapter that these kernels are for; undefined on others. */
export function decodeLanes(target: PlanTarget): number | undefined {
  if (target.profile === "gpu" || !target.hasSubgroups || target.operands !== "texture") return undefined;
  return vectorLanes(target.profile);
}
