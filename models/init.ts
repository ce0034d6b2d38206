/**
 * Initial weights of a GPT, by seed.
 *
 * GPT-2's rule (Radford et al. 2019, section 2.3; initializer_range of Hugging Face's GPT2Config): matrices and embeddings are normal
 * with deviation initializer_range; those that write into the residual stream (`c_proj`) are scaled by
 * 1/sqrt(2 × n_layer), since 2 × n_layer of them add up; biases are 0, LayerNorm's weights 1. Of an adapter A is normal
 * with deviation 1/sqrt(3 × rows), which is that of the uniform numbers in LoRA's own code, and B is 0.
 */
import { pcg4d, streamOf } from "../common/mod.ts";
import type { ParameterStore } from "../gpu/mod.ts";
import type { ModelConfig } from "./config.ts";
import { type Parameter, parameters, type Weights } from "./parameters.ts";

/**
 * The weights that a training begins with: a pure function of configuration and seed.
 *
 * @param seed a whole number of 32 bits.
 *
 * @example
 * ```ts
 * import { modelConfig } from "./config.ts";
 * import { initialWeights } from "./init.ts";
 * const weights = initialWeights(modelConfig({}, 65), 1);
 * console.log(weights.get("wte.weight")?.shape); // [65, 128]
 * ```
 */
export function initialWeights(config: ModelConfig, seed: number): Weights {
  return new Map(
    parameters(config).map((p) => [p.name, { shape: p.shape, data: initialValues(p, config, seed) }]),
  );
}

/** The initial values of one parameter, so that a model need not stand in memory as a whole. */
export function initialValues(
  { name, shape, initializer }: Parameter,
  config: ModelConfig,
  seed: number,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  const std = config.initializer_range;
  switch (initializer) {
    case "zeros":
      break;
    case "ones":
      values.fill(1);
      break;
    case "normal":
      fillNormal(values, seed, streamOf(name), std);
      break;
    case "adapter":
      fillNormal(values, seed, streamOf(name), 1 / Math.sqrt(3 * shape[0]!));
      break;
    case "residual":
      fillNormal(values, seed, streamOf(name), std / Math.sqrt(2 * config.n_layer));
      break;
  }
  return values;
}

/** Writes the initial weights into a store on the device, one parameter after the other, to spare memory. */
export function writeInitialWeights(store: ParameterStore, config: ModelConfig, seed: number): void {
  for (const parameter of parameters(config)) {
    store.write(parameter.name, initialValues(parameter, config, seed));
  }
  store.syncMirrors();
}

/**
 * Fills `out` with normal numbers, four to a hash (Box and Muller's transform on 32-bit uniforms, so at most 6.7
 * deviations): a quarter of the time that common/'s `fillNormal` takes, which hashes for each of 86 M.
 */
function fillNormal(out: Float32Array, seed: number, stream: number, std: number): void {
  const bits = new Uint32Array(4);
  for (let i = 0; i < out.length; i += 4) {
    pcg4d(seed, stream, i / 4, 0, bits);
    for (let half = 0; half < 4; half += 2) {
      const radius = std * Math.sqrt(-2 * Math.log((bits[half]! + 1) / 2 ** 32)); // uniform in (0, 1]
      const angle = 2 * Math.PI * bits[half + 1]! / 2 ** 32;
      out[i + half] = radius * Math.cos(angle);
      out[i + half + 1] = radius * Math.sin(angle); // beyond the end of `out` it is dropped
    }
  }
}
