/** Dropout: masks as the host computes them, the same one backward, another one for every step, site and seed. */

import assert from "assert";
import { add, attention, axis, dropout, Graph, rowsOf, type StepValues } from "../../gpu/mod.ts";
import * as f64 from "./float64.ts";
import { activationMask, attentionMask } from "./masks.ts";
import { assertClose, openGraph, pull, randomMatrix, testOperands, withGpu } from "./support.ts";

const [ROWS, COLS] = [97, 131];

/** y = dropout of `x` at two sites, a and b, with the gradient of their sum. */
function twoSites(p: number): Graph {
  const graph = new Graph();
  const x = graph.parameter("x", rowsOf(ROWS), axis(COLS));
  const [a, b] = [dropout(x, p, 3), dropout(x, p, 4)];
  graph.output("a", a);
  graph.output("b", b);
  pull(a, [x]);
  return graph;
}

const ones = new Float32Array(ROWS * COLS).fill(1);

testOperands("dropout draws the mask that the host computes, backward too", async (gpu) => {
  const p = 0.3;
  const opened = openGraph(gpu, twoSites(p), { x: ones, dy: ones });
  const step = { seed: 4000000007, index: 2147483649 };
  const { outputs, gradients } = await opened.run({ step });
  opened.close();
  for (const [name, site] of [["a", 3], ["b", 4]] as const) {
    const mask = activationMask(step, site, p);
    const expected = ones.map((_, i) => mask(Math.floor(i / COLS), i % COLS)); // rounded to float32
    assert.deepEqual(outputs[name], expected);
    if (name === "a") assert.deepEqual(gradients.x, expected);
  }
});

Deno.test("dropout drops the given share of elements, evenly over rows and columns", async () => {
  for (const p of [0.1, 0.5, 0.9]) {
    await withGpu({}, async (gpu) => {
      const opened = openGraph(gpu, twoSites(p), { x: ones, dy: ones });
      const { a } = (await opened.run({ step: { seed: 1, index: 1 } })).outputs;
      opened.close();
      const kept = a!.map((v) => v === 0 ? 0 : 1);
      // Six standard deviations of a binomial count: one draw in 10^9 lies outside.
      const expect = (values: Float32Array, what: string) => {
        const count = values.reduce((sum, v) => sum + v, 0);
        const deviation = Math.sqrt(values.length * p * (1 - p));
        assert(
          Math.abs(count - values.length * (1 - p)) < 6 * deviation,
          `${what}: ${count} of ${values.length}`,
        );
      };
      expect(kept, "all");
      for (let r = 0; r < ROWS; r += 12) expect(kept.slice(r * COLS, (r + 1) * COLS), `row ${r}`);
      for (let c = 0; c < COLS; c += 13) expect(kept.filter((_, i) => i % COLS === c), `column ${c}`);
    });
  }
});

Deno.test("dropout masks differ by step, seed and site, and are the same when drawn again", async () => {
  const p = 0.5;
  await withGpu({}, async (gpu) => {
    const opened = openGraph(gpu, twoSites(p), { x: ones, dy: ones });
    const draw = async (step: StepValues) => (await opened.run({ step })).outputs;
    const first = await draw({ seed: 1, index: 1 });
    assert.deepEqual(await draw({ seed: 1, index: 1 }), first);
    const others = {
      site: first.b!,
      index: (await draw({ seed: 1, index: 2 })).a!,
      seed: (await draw({ seed: 2, index: 1 })).a!,
      both: (await draw({ seed: 2, index: 2 })).a!,
    };
    opened.close();
    const n = ROWS * COLS;
    for (const [name, other] of Object.entries(others)) { // independent masks agree in half of the places
      const same = first.a!.reduce((sum, v, i) => sum + (v === other[i] ? 1 : 0), 0);
      assert(Math.abs(same - n / 2) < 6 * Math.sqrt(n) / 2, `${name}: ${same} of ${n} places agree`);
    }
  });
});

Deno.test("dropout with probability 0 is no node", () => {
  const graph = new Graph();
  const x = graph.parameter("x", rowsOf(2), axis(4));
  assert(dropout(x, 0, 1) === x);
  assert.equal(graph.nodes.length, 0);
});

Deno.test("dropout fused behind an addition draws the same mask as alone", async () => {
  const graph = new Graph();
  const x = graph.parameter("x", rowsOf(ROWS), axis(COLS));
  const [alone, fused] = [dropout(x, 0.4, 9), dropout(add(x, x), 0.4, 9)];
  graph.output("alone", alone);
  graph.output("fused", fused);
  const parameters = { x: randomMatrix(ROWS, COLS, 1) };
  await withGpu({}, async (gpu) => {
    const opened = openGraph(gpu, graph, parameters);
    const { outputs } = await opened.run({ step: { seed: 5, index: 6 } });
    opened.close();
    assert.deepEqual(outputs.fused, outputs.alone!.map((v) => 2 * v));
  });
});

testOperands("attention with dropout and its gradient", async (gpu) => {
  const [shape, p, site] = [{ B: 2, T: 13, H: 3, hd: 5 }, 0.35, 7];
  const { B, T, H, hd } = shape;
  const graph = new Graph();
  const qkv = graph.parameter("qkv", rowsOf(B * T), axis(hd, { groups: 3 * H }));
  const y = attention(qkv, { B, T, n_head: H, dropout: p, site });
  graph.output("y", y);
  pull(y, [qkv]);
  const values = { qkv: randomMatrix(B * T, 3 * H * hd, 1, 1.5), dy: randomMatrix(B * T, H * hd, 2) };
  const opened = openGraph(gpu, graph, values);
  for (const step of [{ seed: 1, index: 0 }, { seed: 3000000000, index: 4294967295 }]) {
    const { outputs, gradients } = await opened.run({ step });
    const mask = attentionMask(step, site, p, shape);
    // As without dropout: sums of hd and T terms, exp of scores up to 8.
    assertClose("y", outputs.y!, f64.attention(shape, values.qkv, mask), hd + T + 38);
    const dqkv = f64.attentionBackward(shape, values.qkv, values.dy, mask);
    assertClose("dqkv", gradients.qkv!, dqkv, 2 * (hd + T + 38));
  }
  opened.close();
});
