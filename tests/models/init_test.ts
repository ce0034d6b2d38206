import assert from "assert";
import { modelConfig } from "../../models/config.ts";
import { initialWeights } from "../../models/init.ts";

const config = modelConfig({ n_layer: 8, n_head: 4, n_embd: 128, n_positions: 64 }, 65);

function moments(values: Float32Array) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const central = (power: number) => values.reduce((sum, v) => sum + (v - mean) ** power, 0) / values.length;
  const std = Math.sqrt(central(2));
  return { mean, std, kurtosis: central(4) / std ** 4 };
}

Deno.test("matrices are normal with initializer_range, residual projections with 1/sqrt(2 n_layer) of it", () => {
  const weights = initialWeights(config, 3);
  for (const [name, std] of [["h.2.mlp.c_fc.weight", 0.02], ["h.2.mlp.c_proj.weight", 0.005]] as const) {
    const m = moments(weights.get(name)!.data); // 65,536 values: standard errors 0.4 %, 0.3 % and 0.02
    assert.ok(Math.abs(m.mean) < std * 0.02, `mean ${m.mean}`);
    assert.ok(Math.abs(m.std / std - 1) < 0.015, `std ${m.std}`);
    assert.ok(Math.abs(m.kurtosis - 3) < 0.1, `kurtosis ${m.kurtosis}`);
  }
});

Deno.test("biases are 0, LayerNorm's weights 1", () => {
  for (const [name, { data }] of initialWeights(config, 3)) {
    if (name.endsWith(".bias")) assert.ok(data.every((v) => v === 0), name);
    if (/ln_\w+\.weight$/.test(name)) assert.ok(data.every((v) => v === 1), name);
  }
});

Deno.test("the same seed gives the same bits, another seed or parameter others", () => {
  const [a, b, c] = [initialWeights(config, 3), initialWeights(config, 3), initialWeights(config, 4)];
  assert.deepEqual(a, b);
  const name = "h.0.attn.c_attn.weight";
  assert.notDeepEqual(a.get(name)!.data, c.get(name)!.data);
  assert.notDeepEqual(a.get(name)!.data, a.get("h.1.attn.c_attn.weight")!.data);
  assert.equal(new Set(a.get(name)!.data).size > 0.99 * a.get(name)!.data.length, true);
});

Deno.test("sizes that are no multiple of four are filled to the end", () => {
  const odd = initialWeights(modelConfig({ n_layer: 1, n_head: 1, n_embd: 7, n_positions: 3 }, 3), 1);
  assert.ok(odd.get("wte.weight")!.data.every((v) => v !== 0 && Number.isFinite(v)));
});
