/** What is computed again in the backward pass gives the same bits however operands are held and whatever is trained. */

import { type ModelConfig, modelConfig } from "../../models/mod.ts";
import { assertSameBits, CONFIG, SHAPE } from "./recompute_support.ts";
import { OPERANDS, withGpu } from "./support.ts";

for (const { name, options } of OPERANDS.filter(({ name }) => !/^textures$|GPU/.test(name))) {
  Deno.test(`losses, gradients and weights are bit-identical to those of what is kept: ${name}`, () =>
    withGpu(options, (gpu) => assertSameBits(gpu, CONFIG)));
}

const VARIANTS: Record<string, ModelConfig> = {
  "with squared ReLU and a head of its own": modelConfig({
    ...SHAPE,
    n_layer: 2,
    position_type: "alibi",
    mlp_type: "relu_squared",
    tie_word_embeddings: false,
  }),
  "with sparse attention": modelConfig({
    ...SHAPE,
    n_layer: 2,
    attention_type: "sparse",
    window: 3,
    sparsity_factor: 2,
  }),
  "of which adapters alone are trained": {
    ...modelConfig({ ...SHAPE, n_layer: 2 }),
    lora: { rank: 3, alpha: 4.5, targets: ["c_attn", "c_fc", "mlp.c_proj"] },
  },
};

for (const [name, config] of Object.entries(VARIANTS)) {
  for (const options of [{}, { profile: "gpu" as const, operands: "buffer" as const }]) {
    Deno.test(`so are those of a model ${name}, ${options.profile ?? "usual"} kernels`, () =>
      withGpu(options, (gpu) => assertSameBits(gpu, config)));
  }
}

const SWIGLU = modelConfig({ ...SHAPE, n_layer: 2, norm_type: "rms_norm", mlp_type: "swiglu", bias: false });

for (const [name, config] of Object.entries({ ...VARIANTS, "with SwiGLU": SWIGLU })) {
  for (const options of [{}, { profile: "gpu" as const, operands: "buffer" as const }]) {
    Deno.test(`in half precision so are those of a model ${name}, ${options.profile ?? "usual"} kernels`, () =>
      withGpu(options, (gpu) => assertSameBits(gpu, config, "f16")));
  }
}
