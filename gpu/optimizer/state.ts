/**
 * What each optimizer keeps for a parameter from one step to the next: its planes, beside the weight and the gradient. The
 * parameter store allocates them, the plan counts them, checkpoints hold them under these names. Left out: what is done
 * with them, which is in the optimizers' own files.
 */

/** The optimizers by name. */
export const OPTIMIZERS = ["adamw", "adamw_8bit", "muon", "lion", "sgd"] as const;

/** One of {@link OPTIMIZERS}. */
export type OptimizerName = typeof OPTIMIZERS[number];

/**
 * A plane of state. The names are PyTorch's: `exp_avg` and `exp_avg_sq` are running means of the gradient and of its square,
 * `momentum_buffer` is a running sum; `…_absmax` holds the largest absolute value of each block of an 8-bit plane.
 */
export type StateName =
  | "exp_avg"
  | "exp_avg_sq"
  | "exp_avg_absmax"
  | "exp_avg_sq_absmax"
  | "momentum_buffer";

/** How a plane holds its numbers. */
export interface StatePlane {
  readonly name: StateName;
  /** Float32, or the code of a level in 8 bits. */
  readonly dtype: "F32" | "U8";
  /** Consecutive weights that share one number of the plane. */
  readonly per: number;
}

/** Weights that share one scale of 8-bit state. The paper takes 2048; less is more exact, and costs 1.6 % of the codes' bytes. */
export const BLOCK = 256;

const plane = (name: StateName): StatePlane => ({ name, dtype: "F32", per: 1 });

const quantized = (name: "exp_avg" | "exp_avg_sq"): StatePlane[] => [
  { name, dtype: "U8", per: 1 },
  { name: `${name}_absmax`, dtype: "F32", per: BLOCK },
];

/**
 * The planes of a parameter that is trained.
 *
 * @param orthogonal whether Muon makes its updates orthogonal; means nothing to other optimizers
 */
export function statePlanes(optimizer: OptimizerName, orthogonal: boolean): StatePlane[] {
  switch (optimizer) {
    case "adamw":
      return [plane("exp_avg"), plane("exp_avg_sq")];
    case "adamw_8bit":
      return [...quantized("exp_avg"), ...quantized("exp_avg_sq")];
    case "muon":
      return orthogonal ? [plane("momentum_buffer")] : [plane("exp_avg"), plane("exp_avg_sq")];
    case "lion":
      return [plane("exp_avg")];
    case "sgd":
      return [plane("momentum_buffer")];
  }
}

/** Weights in a block of the optimizer's state: each parameter begins a new one. */
export function blockLength(optimizer: OptimizerName): number {
  return Math.max(...statePlanes(optimizer, false).map(({ per }) => per));
}

/** Bytes of a plane for `bytes` of float32 weights. */
export function planeBytes({ dtype, per }: Pick<StatePlane, "dtype" | "per">, bytes: number): number {
  return bytes / per / (dtype === "U8" ? 4 : 1);
}

/** Memory of the running sum of gradients where none is given: Muon's as its author has it, SGD's usual one. */
export function defaultMomentum(optimizer: OptimizerName): number {
  return optimizer === "muon" ? 0.95 : 0.9;
}
