/** Every op, forward and backward, against float64: odd shapes, all ways of holding operands. */

import {
  add,
  attention,
  axis,
  embedding,
  gelu,
  Graph,
  layerNorm,
  linear,
  matmulTransposed,
  rowsOf,
  tokenIndex,
  tokenIndexLength,
} from "../../gpu/mod.ts";
import * as f64 from "./float64.ts";
import {
  assertClose,
  largest,
  openGraph,
  pull,
  randomIds,
  randomMatrix,
  runGraph,
  testOperands,
  withGpu,
} from "./support.ts";

const absolute = (values: f64.Numbers) => Float64Array.from(values, Math.abs);

/**
 * [M, K, N]: ones, primes, sizes just over the tiles of 16 and 64 rows and 64 and 128
 * columns, more rows than a slice.
 */
const LINEAR_SHAPES = [[1, 1, 1], [17, 5, 131], [301, 29, 67]] as const;

testOperands("linear and its gradients", async (gpu) => {
  for (const [M, K, N] of LINEAR_SHAPES) {
    const graph = new Graph();
    const x = graph.parameter("x", rowsOf(M), axis(K));
    const w = graph.parameter("w", axis(K), axis(N));
    const b = graph.parameter("b", rowsOf(1), axis(N));
    const y = linear(x, w, b);
    graph.output("y", y);
    pull(y, [x, w, b]);
    const p = {
      x: randomMatrix(M, K, 1),
      w: randomMatrix(K, N, 2),
      b: randomMatrix(1, N, 3),
      dy: randomMatrix(M, N, 4),
    };
    const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p });
    // A sum of n terms rounds n times, each time by at most a rounding of the sum of absolute values.
    const size = { M, K, N };
    const [ax, aw, ab, ady] = [p.x, p.w, p.b, p.dy].map(absolute) as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    const expected = f64.linearBackward(size, p.x, p.w, p.dy);
    const sizes = f64.linearBackward(size, ax, aw, ady);
    const name = `${M} × ${K} × ${N}`;
    assertClose(
      `${name} y`,
      outputs.y!,
      f64.linear(size, p.x, p.w, p.b),
      K + 1,
      f64.linear(size, ax, aw, ab),
    );
    assertClose(`${name} dx`, gradients.x!, expected.dx, N, sizes.dx);
    assertClose(`${name} dw`, gradients.w!, expected.dw, M, sizes.dw);
    assertClose(`${name} db`, gradients.b!, expected.db, M, sizes.db);
  }
});

Deno.test("the gradient of a linear layer over many rows, its sums cut into slices on a GPU", async () => {
  const [M, K, N] = [1031, 9, 6];
  await withGpu({ operands: "buffer", profile: "gpu" }, async (gpu) => {
    const graph = new Graph();
    const x = graph.parameter("x", rowsOf(M), axis(K));
    const w = graph.parameter("w", axis(K), axis(N));
    const b = graph.parameter("b", rowsOf(1), axis(N));
    pull(linear(x, w, b), [w, b]);
    const p = {
      x: randomMatrix(M, K, 1),
      w: randomMatrix(K, N, 2),
      b: randomMatrix(1, N, 3),
      dy: randomMatrix(M, N, 4),
    };
    const { gradients } = await runGraph(gpu, graph, { parameters: p });
    const expected = f64.linearBackward({ M, K, N }, p.x, p.w, p.dy);
    const sizes = f64.linearBackward({ M, K, N }, absolute(p.x), absolute(p.w), absolute(p.dy));
    assertClose("dw", gradients.w!, expected.dw, M, sizes.dw);
    assertClose("db", gradients.b!, expected.db, M, sizes.db);
  });
});

testOperands("a·bᵀ", async (gpu) => {
  for (const [M, K, N] of [[19, 7, 131]] as const) {
    const graph = new Graph();
    const a = graph.parameter("a", rowsOf(M), axis(K));
    const b = graph.parameter("b", axis(N, { multiple: 128 }), axis(K));
    graph.output("y", matmulTransposed(a, b));
    const p = { a: randomMatrix(M, K, 1), b: randomMatrix(N, K, 2) };
    const { outputs } = await runGraph(gpu, graph, { parameters: p });
    const product = (a: f64.Numbers, b: f64.Numbers) =>
      // transposed on the way: y[m, n] = sum of a[m, k] b[n, k]
      f64.linearBackward({ M, K: N, N: K }, new Float64Array(M * N), b, a).dx;
    assertClose("y", outputs.y!, product(p.a, p.b), K, product(absolute(p.a), absolute(p.b)));
  }
});

testOperands("gelu and its gradient", async (gpu) => {
  for (const [M, N] of [[1, 1], [257, 67]] as const) {
    const graph = new Graph();
    const x = graph.parameter("x", rowsOf(M), axis(N));
    const y = gelu(x);
    graph.output("y", y);
    pull(y, [x]);
    const p = { x: randomMatrix(M, N, 1, 3), dy: randomMatrix(M, N, 2) };
    if (N > 1) p.x.set([0, -0, 1e-30, 20, -20, 100, -100, 1e4, -1e4]);
    const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p });
    // WGSL's exp(z) may be off by 3 + 2|z| units in the last place. The gate s = 1 / (1 + exp(-z)) passes that on times
    // s (1 - s): at most two roundings at any z. The rest is a handful of products.
    assertClose("y", outputs.y!, f64.gelu(p.x), 12, absolute(p.x));
    // The slope's second term is s (1 - s) x (1.6 + 0.2 x²); where s is near 1, 1 - s is off by a rounding of 1.
    const bound = p.x.map((v, i) => {
      const x = Math.min(Math.abs(v), 6); // beyond it s (1 - s) is 0
      return Math.abs(p.dy[i]!) * (1 + x * (1.6 + 0.22 * x * x));
    });
    assertClose("dx", gradients.x!, f64.geluBackward(p.x, p.dy), 12, bound);
  }
});

testOperands("add and its gradients", async (gpu) => {
  const [M, N] = [19, 11];
  const graph = new Graph();
  const a = graph.parameter("a", rowsOf(M), axis(N));
  const b = graph.parameter("b", rowsOf(M), axis(N));
  const y = add(add(a, b), a);
  graph.output("y", y);
  pull(y, [a, b]);
  const p = { a: randomMatrix(M, N, 1), b: randomMatrix(M, N, 2), dy: randomMatrix(M, N, 3) };
  const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p });
  assertClose("y", outputs.y!, f64.add(f64.add(p.a, p.b), p.a), 2);
  assertClose("da", gradients.a!, p.dy.map((v) => 2 * v), 0);
  assertClose("db", gradients.b!, p.dy, 0);
});

testOperands("layer norm and its gradients", async (gpu) => {
  for (const [M, C] of [[1, 1], [17, 67], [301, 13]] as const) {
    const epsilon = 1e-5;
    const graph = new Graph();
    const x = graph.parameter("x", rowsOf(M), axis(C));
    const gamma = graph.parameter("gamma", rowsOf(1), axis(C));
    const beta = graph.parameter("beta", rowsOf(1), axis(C));
    const y = layerNorm(x, gamma, beta, epsilon);
    graph.output("y", y);
    pull(y, [x, gamma, beta]);
    const p = {
      x: randomMatrix(M, C, 1).map((v) => v + 1),
      gamma: randomMatrix(1, C, 2),
      beta: randomMatrix(1, C, 3),
      dy: randomMatrix(M, C, 4),
    };
    const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p });
    const shape = { C, epsilon };
    const expected = f64.layerNormBackward(shape, p.x, p.gamma, p.dy);
    // Mean and variance are sums of C; (x - mean) loses what x is larger than its row's deviation.
    const deviations = Array.from({ length: M }, (_, m) => {
      const row = p.x.subarray(m * C, (m + 1) * C);
      const mean = row.reduce((a, b) => a + b, 0) / C;
      return Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0) / C + epsilon);
    });
    const rstd = 1 / Math.min(...deviations);
    const n = largest(p.x) * rstd; // bound of (x - mean) / deviation before it cancels
    const name = `${M} × ${C}`;
    const [dy, g] = [largest(p.dy), largest(p.gamma)];
    assertClose(
      `${name} y`,
      outputs.y!,
      f64.layerNorm(shape, p.x, p.gamma, p.beta),
      C + 8,
      n * g + largest(p.beta),
    );
    assertClose(`${name} dx`, gradients.x!, expected.dx, 2 * C + 16, rstd * dy * g * (1 + n));
    assertClose(`${name} dgamma`, gradients.gamma!, expected.dgamma, M + C + 8, M * dy * n);
    assertClose(`${name} dbeta`, gradients.beta!, expected.dbeta, M, M * dy);
  }
});

testOperands("embedding and its gradients", async (gpu) => {
  for (
    const [B, T, C, V, n_positions] of [[1, 1, 1, 1, 1], [5, 61, 11, 131, 101]] as const
  ) {
    const rows = B * T;
    const graph = new Graph();
    const tokens = graph.input("tokens", rows);
    const index = graph.input("index", tokenIndexLength(rows));
    const wte = graph.parameter("wte", axis(V, { multiple: 128 }), axis(C));
    const wpe = graph.parameter("wpe", axis(n_positions), axis(C));
    const x = embedding(tokens, wte, wpe, T, index);
    graph.output("x", x);
    pull(x, [wte, wpe]);
    const ids = randomIds(rows, 1, Math.ceil(V / 2));
    const p = {
      wte: randomMatrix(V, C, 1),
      wpe: randomMatrix(n_positions, C, 2),
      dy: randomMatrix(rows, C, 3),
    };
    const inputs = { tokens: ids, index: tokenIndex(ids, V) };
    const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p, inputs });
    const shape = { T, C, V, n_positions };
    const expected = f64.embeddingBackward(shape, ids, p.dy);
    assertClose("x", outputs.x!, f64.embedding(shape, ids, p.wte, p.wpe), 1);
    assertClose("dwte", gradients.wte!, expected.dwte, rows, rows * largest(p.dy));
    assertClose("dwpe", gradients.wpe!, expected.dwpe, B, B * largest(p.dy));
  }
});

Deno.test("the gradient of an embedding keeps nothing of the tokens of an earlier run", async () => {
  const [V, C, rows] = [9, 4, 3];
  const graph = new Graph();
  const tokens = graph.input("tokens", rows);
  const index = graph.input("index", tokenIndexLength(rows));
  const [wte, wpe] = [graph.parameter("wte", axis(V), axis(C)), graph.parameter("wpe", axis(rows), axis(C))];
  pull(embedding(tokens, wte, wpe, rows, index), [wte, wpe]);
  const parameters = {
    wte: randomMatrix(V, C, 1),
    wpe: randomMatrix(rows, C, 2),
    dy: randomMatrix(rows, C, 3),
  };
  await withGpu({}, async (gpu) => {
    const opened = openGraph(gpu, graph, parameters);
    for (const ids of [new Uint32Array([0, 5, 8]), new Uint32Array([1, 1, 2])]) {
      const { gradients } = await opened.run({ inputs: { tokens: ids, index: tokenIndex(ids, V) } });
      const shape = { T: rows, C, V, n_positions: rows };
      assertClose("dwte", gradients.wte!, f64.embeddingBackward(shape, ids, parameters.dy).dwte, 1);
    }
    opened.close();
  });
});

/** B, T, heads, size of a head: ones, head sizes that are padded, lengths that no block divides. */
const ATTENTION_SHAPES = [[1, 1, 1, 1], [2, 17, 3, 5], [1, 37, 1, 11]] as const;

testOperands("attention and its gradient", async (gpu) => {
  for (const [B, T, H, hd] of ATTENTION_SHAPES) {
    const graph = new Graph();
    const qkv = graph.parameter("qkv", rowsOf(B * T), axis(hd, { groups: 3 * H }));
    const y = attention(qkv, { B, T, n_head: H, dropout: 0, site: 1 });
    graph.output("y", y);
    pull(y, [qkv]);
    const p = { qkv: randomMatrix(B * T, 3 * H * hd, 1, 1.5), dy: randomMatrix(B * T, H * hd, 2) };
    const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p });
    const shape = { B, T, H, hd };
    // A score is a sum of hd terms, a row one of T; exp of scores up to 8 adds 2 (3 + 2 · 8) roundings.
    const name = JSON.stringify(shape);
    assertClose(`${name} y`, outputs.y!, f64.attention(shape, p.qkv), hd + T + 38);
    assertClose(
      `${name} dqkv`,
      gradients.qkv!,
      f64.attentionBackward(shape, p.qkv, p.dy),
      2 * (hd + T + 38),
    );
  }
});
