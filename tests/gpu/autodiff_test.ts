/** Reverse-mode differentiation: summing of contributions, accumulation over runs, what cannot be differentiated. */

import assert from "assert";
import {
  add,
  axis,
  embedding,
  gelu,
  gradients,
  Graph,
  headLoss,
  layerNorm,
  linear,
  matmulTransposed,
  rowsOf,
} from "../../gpu/mod.ts";
import * as f64 from "./float64.ts";
import { assertClose, openGraph, pull, randomMatrix, runGraph, withGpu } from "./support.ts";

const [M, N] = [3, 5];

function matrices(...names: string[]) {
  const graph = new Graph();
  return { graph, of: names.map((name) => graph.parameter(name, rowsOf(M), axis(N))) };
}

Deno.test("a parameter that is used in several places gets the sum of their gradients", async () => {
  const { graph, of } = matrices("x");
  const [x] = of;
  const h = gelu(x!);
  pull(add(add(h, x!), add(h, h)), [x!]); // 3 gelu(x) + x
  const p = { x: randomMatrix(M, N, 1), dy: randomMatrix(M, N, 2) };
  const { gradients } = await withGpu({}, (gpu) => runGraph(gpu, graph, { parameters: p }));
  const slope = f64.geluBackward(p.x, p.dy);
  assertClose("dx", gradients.x!, p.dy.map((g, i) => g + 3 * slope[i]!), 128);
});

Deno.test("contributions to a gradient keep their order whatever is fused where", async () => {
  const graph = new Graph();
  const x = graph.parameter("x", rowsOf(M), axis(N));
  const [w, b] = [graph.parameter("w", axis(N), axis(N)), graph.parameter("b", rowsOf(1), axis(N))];
  const h = gelu(x);
  const n = layerNorm(x, b, b, 1e-5);
  pull(add(linear(h, w, b), n), [x]); // the gradient of gelu could join the product's, which runs before the norm's
  const p = {
    x: randomMatrix(M, N, 1),
    w: randomMatrix(N, N, 2),
    b: randomMatrix(1, N, 3),
    dy: randomMatrix(M, N, 4),
  };
  const { gradients } = await withGpu({}, (gpu) => runGraph(gpu, graph, { parameters: p }));
  const dh = f64.linearBackward({ M, K: N, N }, f64.gelu(p.x), p.w, p.dy).dx;
  const dn = f64.layerNormBackward({ C: N, epsilon: 1e-5 }, p.x, p.b, p.dy).dx;
  assertClose("dx", gradients.x!, f64.add(f64.geluBackward(p.x, dh), dn), 128);
});

Deno.test("a gradient that flows on is still the right one where it is also a parameter's", async () => {
  const { graph, of } = matrices("a", "b", "c");
  const [a, b, c] = of;
  pull(gelu(add(gelu(add(a!, b!)), c!)), [a!, b!, c!]);
  const p = {
    a: randomMatrix(M, N, 1),
    b: randomMatrix(M, N, 2),
    c: randomMatrix(M, N, 3),
    dy: randomMatrix(M, N, 4),
  };
  const { gradients } = await withGpu({}, (gpu) => runGraph(gpu, graph, { parameters: p }));
  const inner = f64.add(p.a, p.b);
  const dc = f64.geluBackward(f64.add(f64.gelu(inner), p.c), p.dy);
  const da = f64.geluBackward(inner, dc);
  assertClose("dc", gradients.c!, dc, 128);
  assertClose("da", gradients.a!, da, 256);
  assert.deepEqual(gradients.b, gradients.a);
});

Deno.test("gradients replace those of an earlier run, or add to them when asked to", async () => {
  for (const accumulate of [false, true]) {
    const { graph, of } = matrices("a", "b");
    const [a, b] = of;
    pull(add(add(a!, b!), a!), [a!, b!], { accumulate });
    const p = { a: randomMatrix(M, N, 1), b: randomMatrix(M, N, 2), dy: randomMatrix(M, N, 3) };
    await withGpu({}, async (gpu) => {
      const opened = openGraph(gpu, graph, p);
      await opened.run({});
      const { gradients } = await opened.run({});
      opened.close();
      const runs = accumulate ? 2 : 1;
      assert.deepEqual(gradients.b, p.dy.map((g) => runs * g));
      assert.deepEqual(gradients.a, p.dy.map((g) => 2 * runs * g));
    });
  }
});

Deno.test("only parameters that were asked for get gradients", async () => {
  const { graph, of } = matrices("a", "b");
  const [a, b] = of;
  pull(add(gelu(a!), b!), [b!]);
  const p = { a: randomMatrix(M, N, 1), b: randomMatrix(M, N, 2), dy: randomMatrix(M, N, 3) };
  const { gradients } = await withGpu({}, (gpu) => runGraph(gpu, graph, { parameters: p }));
  assert.deepEqual(gradients.b, p.dy);
  assert.deepEqual(gradients.a, new Float32Array(M * N));
});

Deno.test("a parameter that does not reach the loss is an error that names it", () => {
  const { of } = matrices("used", "forgotten");
  const [used, forgotten] = of;
  assert.throws(() => pull(gelu(used!), [used!, forgotten!]), /parameter forgotten does not reach the loss/);
});

Deno.test("an op without a gradient rule is an error that names its node", () => {
  const { graph, of } = matrices("a", "b");
  const [a, b] = of;
  const product = graph.scope("h.0", () => matmulTransposed(a!, b!));
  assert.throws(() => pull(product, [a!]), /h\.0\/matmul_nt: no gradient rule/);
});

Deno.test("an op without a gradient rule is no error where no gradient has to pass", () => {
  const graph = new Graph();
  const [a, b] = [graph.parameter("a", rowsOf(M), axis(N)), graph.parameter("b", axis(N), axis(N))];
  const c = graph.parameter("c", rowsOf(M), axis(N));
  pull(add(matmulTransposed(a, b), c), [c]);
});

Deno.test("an embedding without its token index has no gradient", () => {
  const graph = new Graph();
  const wte = graph.parameter("wte", axis(7), axis(N));
  const wpe = graph.parameter("wpe", axis(M), axis(N));
  const x = embedding(graph.input("tokens", M), wte, wpe, M);
  assert.throws(() => pull(x, [wte]), /token index/);
});

Deno.test("gradients that only pass through a node are summed before its rule runs", () => {
  const graph = new Graph();
  const x = graph.parameter("x", rowsOf(M), axis(N));
  const [gamma, beta] = [
    graph.parameter("gamma", rowsOf(1), axis(N)),
    graph.parameter("beta", rowsOf(1), axis(N)),
  ];
  const wte = graph.parameter("wte", axis(7), axis(N));
  const h = layerNorm(x, gamma, beta, 1e-5);
  gradients(headLoss(add(h, gelu(h)), wte, graph.input("targets", M), 1, 1), [x, gamma, beta, wte]);
  assert.equal(graph.nodes.filter((node) => node.op.name === "layer_norm_input").length, 1);
});
