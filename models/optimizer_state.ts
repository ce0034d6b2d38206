/**
 * The tensors of a checkpoint's `optimizer.safetensors`: what the run's optimizer keeps for each parameter that is trained,
 * under the names, and in the types, that `statePlanes` of `gpu/` gives.
 */
import { blockCount, type OptimizerName, OPTIMIZERS, type StateName, statePlanes } from "../gpu/mod.ts";
import { UserError } from "../common/mod.ts";
import type { ModelConfig } from "./config.ts";
import { parameterSpecs } from "./parameter_specs.ts";
import { parameters } from "./parameters.ts";
import type { SafetensorsFile } from "./safetensors.ts";

/** Key of the file's metadata for the optimizer's name. A file without it is AdamW's, as there was no other. */
export const OPTIMIZER_KEY = "optimizer";

/** One tensor of an optimizer's state. */
export interface StateTensor {
  /** Its name in the file: `<plane>.<parameter>`. */
  name: string;
  plane: StateName;
  parameter: string;
  dtype: "F32" | "U8";
  /** The parameter's own, or `[blocks]` where a block of weights has one number. */
  shape: number[];
}

/**
 * The tensors of an optimizer's state, in the order in which they stand in the file: float32 before codes of 8 bits, plane by
 * plane, parameter by parameter.
 *
 * @example
 * ```ts
 * import { modelConfig } from "./config.ts";
 * import { stateTensors } from "./optimizer_state.ts";
 * const [first] = stateTensors(modelConfig({ n_embd: 32, n_head: 2 }, 50), "lion");
 * console.log(first?.name, first?.shape); // exp_avg.wte.weight [ 50, 32 ]
 * ```
 */
export function stateTensors(config: ModelConfig, optimizer: OptimizerName): StateTensor[] {
  const specs = new Map(parameterSpecs(config).map((spec) => [spec.name, spec]));
  const tensors = parameters(config).filter(({ frozen }) => !frozen).flatMap(({ name, shape }) => {
    const spec = specs.get(name)!;
    return statePlanes(optimizer, spec.matrices !== undefined).map((plane) => ({
      name: `${plane.name}.${name}`,
      plane: plane.name,
      parameter: name,
      dtype: plane.dtype,
      shape: plane.per > 1 ? [blockCount(spec)] : shape,
    }));
  });
  const planes = [...new Set(tensors.map(({ plane }) => plane))];
  const ordered = planes.flatMap((plane) => tensors.filter((tensor) => tensor.plane === plane));
  return ordered.toSorted((a, b) => a.dtype === b.dtype ? 0 : a.dtype === "F32" ? -1 : 1);
}

/**
 * The optimizer whose state a file holds.
 *
 * @throws UserError for one that is not known.
 */
export function optimizerOf(file: SafetensorsFile): OptimizerName {
  const name = file.metadata[OPTIMIZER_KEY] ?? "adamw";
  const known = OPTIMIZERS.find((each) => each === name);
  if (known !== undefined) return known;
  throw new UserError(`holds the state of an optimizer ${name}, known are ${OPTIMIZERS.join(", ")}`, {
    file: file.name,
    hint: "use the version that wrote it, or a newer one",
  });
}

/**
 * Checks that a file holds an optimizer's state for every parameter that is trained.
 *
 * @throws UserError with the first tensor that is missing, or of another type or shape.
 */
export function checkState(file: SafetensorsFile, config: ModelConfig, optimizer: OptimizerName): void {
  for (const { name, dtype, shape } of stateTensors(config, optimizer)) {
    const found = file.info(name);
    if (found.dtype === dtype && found.shape.join() === shape.join()) continue;
    throw new UserError(
      `tensor ${name} is ${found.dtype} [${found.shape.join(", ")}], ` +
        `${optimizer} expects ${dtype} [${shape.join(", ")}]`,
      { file: file.name, hint: "the state belongs to a model of another shape" },
    );
  }
}
