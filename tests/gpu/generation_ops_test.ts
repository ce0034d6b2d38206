/** The ops that only generation uses, against float64: attention over a KV cache, and picking one row of each sequence. */

import assert from "assert";
import {
  attention,
  axis,
  cachedAttention,
  Graph,
  lastRow,
  ParameterStore,
  plan,
  Program,
  rowsOf,
} from "../../gpu/mod.ts";
import * as f64 from "./float64.ts";
import { assertClose, kernelsOf, randomMatrix, runGraph, testOperands } from "./support.ts";

testOperands("attention over a cache, filled by one program and gone on with by another", async (gpu) => {
  const [B, H, hd, T_max] = [2, 3, 5, 21];
  const [chunk, T] = [8, 19];
  const width = 3 * H * hd;
  const define = (N: number) => {
    const graph = new Graph();
    const qkv = graph.parameter(`qkv${N}`, rowsOf(B * N), axis(hd, { groups: 3 * H }));
    const cache = (name: string) => graph.state(name, rowsOf(B * T_max), axis(hd, { groups: H }));
    graph.output("y", cachedAttention(qkv, cache("keys"), cache("values"), { B, N, n_head: H, T_max }));
    return { graph, qkv };
  };
  const [many, one] = [define(chunk), define(1)];
  const store = new ParameterStore(gpu, [many, one].map(({ qkv }) => ({ ...qkv, decay: false })), {
    training: false,
  });
  const filler = new Program(gpu, plan(many.graph, gpu, store.layout), store, kernelsOf(gpu));
  const single = new Program(gpu, plan(one.graph, gpu, store.layout), store, kernelsOf(gpu), filler);

  const qkv = randomMatrix(B * T, width, 1, 1.5); // [B, T, 3 * H * hd]
  const rows = (data: f64.Numbers, cols: number, first: number, N: number) =>
    // [B, N, cols] from [B, T, cols]
    Float32Array.from({ length: B * N * cols }, (_, i) => {
      const [b, n, c] = [Math.floor(i / cols / N), Math.floor(i / cols) % N, i % cols];
      return data[(b * T + first + n) * cols + c]!;
    });
  const expected = f64.attention({ B, T, H, hd }, qkv);
  for (let position = 0; position < T;) {
    const N = position + chunk <= T ? chunk : 1;
    const program = N === 1 ? single : filler;
    store.write(`qkv${N}`, rows(qkv, width, position, N));
    store.syncMirrors();
    program.setStep({ position });
    program.run();
    const y = await program.read("y");
    // As in `ops_test.ts`: sums of hd and T terms, exp of scores up to 8.
    assertClose(`y at ${position}`, y, rows(expected, H * hd, position, N), hd + T + 38 + 1);
    position += N;
  }
  single.destroy();
  filler.destroy();
  store.destroy();
});

testOperands("the last row of each sequence", async (gpu) => {
  const [B, N, C] = [3, 7, 11];
  const graph = new Graph();
  graph.output("y", lastRow(graph.parameter("x", rowsOf(B * N), axis(C)), B));
  const x = randomMatrix(B * N, C, 1);
  for (const last of [0, 4, 6]) {
    const { outputs } = await runGraph(gpu, graph, { parameters: { x }, step: { last } });
    const expected = [0, 1, 2].flatMap((b) => [...x.subarray((b * N + last) * C, (b * N + last + 1) * C)]);
    assert.deepEqual([...outputs.y!], expected);
  }
});

Deno.test("attention refuses a qkv of other groups or rows than it was told", () => {
  const graph = new Graph();
  const qkv = graph.parameter("qkv", rowsOf(6), axis(4, { groups: 6 }));
  const options = { n_head: 2, dropout: 0, site: 0 };
  attention(qkv, { B: 2, T: 3, ...options });
  assert.throws(() => attention(qkv, { B: 2, T: 4, ...options }), /2 × 4 rows expected/);
  assert.throws(() => attention(qkv, { B: 2, T: 3, ...options, n_head: 3 }), /3 × n_head groups/);
  const cache = graph.state("cache", rowsOf(6), axis(4, { groups: 3 }));
  assert.throws(
    () => cachedAttention(qkv, cache, cache, { B: 2, N: 3, n_head: 3, T_max: 3 }),
    /3 × n_head groups/,
  );
});
