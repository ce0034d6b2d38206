/** What is computed again in the backward pass: the same bits as what is kept, in less memory. */

import assert from "assert";
import type { Dispatch } from "../../gpu/lower.ts";
import type { Plan } from "../../gpu/mod.ts";
import { GRADIENT_CHECKPOINTING, modelConfig, trainingPlan } from "../../models/mod.ts";
import { assertSameBits, CONFIG, OPTIONS, SHAPE } from "./recompute_support.ts";
import { OPERANDS, withGpu } from "./support.ts";

for (const { name, options } of OPERANDS.filter(({ name }) => /^textures$|GPU/.test(name))) {
  Deno.test(`losses, gradients and weights are bit-identical to those of what is kept: ${name}`, () =>
    withGpu(options, (gpu) => assertSameBits(gpu, CONFIG)));
}

Deno.test("so are those in half precision", () => withGpu({}, (gpu) => assertSameBits(gpu, CONFIG, "f16")));

Deno.test("so are those of a model in which everything is another variant", () =>
  withGpu({}, (gpu) => {
    const config = modelConfig({
      ...SHAPE,
      n_layer: 2,
      n_embd: 18,
      attention_type: "standard",
      n_kv_head: 1,
      position_type: "rotary",
      qk_norm: true,
      norm_type: "rms_norm",
      mlp_type: "swiglu",
      bias: false,
    });
    return assertSameBits(gpu, config);
  }));

Deno.test("planned memory falls, and what is computed again counts as no work", () =>
  withGpu({}, (gpu) => {
    const config = { ...CONFIG, n_layer: 12 };
    const [kept, selective, block] = GRADIENT_CHECKPOINTING.map((gradient_checkpointing) =>
      trainingPlan(config, { ...OPTIONS, gradient_checkpointing }, gpu)
    ) as [Plan, Plan, Plan];
    assert(block.memory.activations < 0.35 * kept.memory.activations);
    assert(selective.memory.activations < 0.7 * kept.memory.activations);
    assert(repeated(kept).length === 0);
    assert(repeated(block).length > 11 * 5);
    assert.deepEqual(
      Object.entries(Object.groupBy(repeated(selective), ({ label }) => label)).map(([label, list]) => [
        label,
        list!.length,
      ]),
      [["elementwise", 12], ["layer norm", 24]],
    );
    for (const again of [selective, block]) {
      assert.equal(again.flops, kept.flops);
      assert(repeated(again).every(({ phase }) => phase === "backward"));
    }
  }));

function repeated({ dispatches }: Plan): Dispatch[] {
  return dispatches.filter(({ repeats }) => repeats);
}

Deno.test("what is cheap is computed again right before it is read, and not longer kept than its gradients take", () =>
  withGpu({}, (gpu) => {
    const { dispatches } = trainingPlan(CONFIG, { ...OPTIONS, gradient_checkpointing: "selective" }, gpu);
    for (const dispatch of repeated({ dispatches } as Plan)) {
      const at = dispatches.indexOf(dispatch);
      const made = dispatch.args.find(({ access }) => access === "write")!.tensor;
      const readers = dispatches.flatMap(({ args }, i) =>
        args.some(({ tensor, access }) => tensor === made && access === "read") ? [i - at] : []
      );
      assert(readers.length > 0 && readers.every((distance) => distance > 0 && distance <= 3), `${readers}`);
    }
  }));
