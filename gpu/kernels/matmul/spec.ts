/**
 * What a matrix product is and what may vary about its kernel: the words that the generator, the default tiles and
 * the tuner share. Leaves out where operands live (accessors hide it) and what becomes of a result (the epilogue).
 */

/**
 * Layout of the operands, row-major:
 * - `NN`: `C[M, N] = A[M, K] · B[K, N]`, a linear layer;
 * - `NT`: `C[M, N] = A[M, K] · B[N, K]ᵀ`, its input gradient;
 * - `TN`: `C[M, N] = A[K, M]ᵀ · B[K, N]`, its weight gradient.
 */
export type MatmulMode = "NN" | "NT" | "TN";

/** The product to compute. Sizes are physical: what is stored, padding included. */
export interface MatmulSpec {
  mode: MatmulMode;
  /** Rows of C. Any size for NN and NT, a multiple of 4 for TN. With `dynamic_rows` the most rows there may be. */
  M: number;
  /** Columns of C, a multiple of 4. */
  N: number;
  /** Length of the sums: a multiple of 4 for NN and NT, any size for TN. */
  K: number;
  /** Slices of K that are summed apart and handed to `finish_split`. @default 1 */
  splits?: number;
  /** TN only: also hand the column sums of B to `finish_bias` (a bias gradient beside its weight gradient). @default false */
  row_sum_b?: boolean;
  /** Sums begin at `start(col)` of the caller instead of zero, a bias say; not together with `splits`. @default false */
  start?: boolean;
  /** NN and NT only: the bound on rows is `view.rows` (a uniform that the caller declares), not `M`. @default false */
  dynamic_rows?: boolean;
}

/** A variant of the kernel: what a tuner may choose. */
export interface MatmulTile {
  /**
   * - `direct`: operands straight into registers;
   * - `broadcast`: A by one load a subgroup and shuffles; needs the feature `subgroups`, workgroup x = subgroup size;
   * - `shared`: operands staged in workgroup memory, for real GPUs.
   */
  form: "direct" | "broadcast" | "shared";
  /** Rows of C per invocation (a multiple of 4 for TN and for `shared`). */
  tile_m: number;
  /** Columns of C per invocation, a multiple of 4. */
  tile_n: number;
  /** Length of K per loop trip: a multiple of 4 for NN, NT and `shared`. */
  k_unroll: number;
  /** Invocations of a workgroup, x and y. */
  workgroup: [number, number];
  /** Not for `shared`: rows and columns of C that finish a trip's K before the next such block starts. @default the tile */
  block?: [number, number];
}

/** A generated kernel body. */
export interface MatmulKernel {
  /** WGSL: workgroup variables and `fn main`. */
  code: string;
  /** Workgroups to dispatch. */
  grid: { x: number; y: number; z: number };
  /** Floating-point operations of the product, `2·M·N·K`. */
  flops: number;
}

/** A vec4's components, by index. */
export const COMPONENT = ["x", "y", "z", "w"] as const;

/** Workgroups a dimension of a dispatch may have: WebGPU's own least limit. */
export const MAX_GRID = 65535;

/** Every multiple of `step` below `end`, from 0. */
export function range(end: number, step = 1): number[] {
  return Array.from({ length: Math.ceil(end / step) }, (_, i) => i * step);
}
