/** The oracle itself: its gradients against central differences of its own loss. */

import assert from "assert";
import { normal } from "../../common/mod.ts";
import { modelConfig, parameters } from "../../models/mod.ts";
import { gpt } from "./float64_gpt.ts";

Deno.test("the float64 model's gradients are the central differences of its loss", () => {
  const config = modelConfig({ n_layer: 2, n_head: 3, n_embd: 6, n_positions: 5, vocab_size: 7 });
  const size = { B: 2, T: 4 };
  const values: Record<string, Float64Array> = {};
  parameters(config).forEach(({ name, shape }, stream) => {
    const length = shape.reduce((a, b) => a * b, 1);
    values[name] = new Float64Array(length).map((_, i) => 0.5 * normal(1, stream, i));
  });
  const ids = [3, 0, 6, 3, 1, 1, 2, 5];
  const targets = [0, 6, 3, 4, 0xffffffff, 2, 5, 1];
  const masks = {
    activation: (site: number, row: number, col: number) => (site + row + col) % 3 === 0 ? 0 : 1.5,
    attention: (site: number) => (b: number, h: number, i: number, j: number) =>
      (site + b + h + i + j) % 4 === 0 ? 0 : 4 / 3,
  };
  const loss = () => gpt(config, size, values, ids, targets, masks).loss;
  const { gradients } = gpt(config, size, values, ids, targets, masks);
  assert.deepEqual(Object.keys(gradients).sort(), Object.keys(values).sort());
  const step = 1e-5; // the error of a central difference is about step² plus 1e-16 / step
  for (const [name, data] of Object.entries(values)) {
    for (let i = 0; i < data.length; i += Math.ceil(data.length / 7)) {
      const kept = data[i]!;
      data[i] = kept + step;
      const above = loss();
      data[i] = kept - step;
      const below = loss();
      data[i] = kept;
      const difference = (above - below) / (2 * step);
      assert(Math.abs(difference - gradients[name]![i]!) < 1e-8, `${name}[${i}]`);
    }
  }
});
