/** Matrices in half precision: what kernels read of weights and of activations that stand in it, in all ways of holding them. */

import assert from "assert";
import {
  axis,
  type Gpu,
  Graph,
  matmul,
  ParameterStore,
  plan,
  Program,
  rowsOf,
  scale,
  type Tensor,
} from "../../gpu/mod.ts";
import { Generator, initialWeights, modelConfig, parameters, parameterSpecs } from "../../models/mod.ts";
import { kernelsOf, randomMatrix, testOperands } from "./support.ts";

/** The nearest number of IEEE half precision, of two that are as near the even one. */
function half(value: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value))));
  const unit = 2 ** (exponent - 10);
  const units = Math.abs(value) / unit;
  const floor = Math.floor(units);
  const up = units - floor > 0.5 || (units - floor === 0.5 && floor % 2 === 1);
  const rounded = (floor + (up ? 1 : 0)) * unit;
  return Math.sign(value) * (rounded > 65504 ? Infinity : rounded);
}

/** Numbers at which roundings differ: halfway between two, at the ends of the range, and none at all. */
const EDGES = [
  ...[1, -1, 0, 1 + 2 ** -11, 1 + 3 * 2 ** -11, -(1 + 2 ** -11), 2049, 2051, 1 + 2 ** -11 + 2 ** -20],
  ...[65504, 65519, 65520, -65520, 1e5, -1e10, 3e38, Infinity, -Infinity, NaN, 2 ** -14],
  ...[1.3 * 2 ** -15, 3 * 2 ** -25, 2 ** -25, -(2 ** -24)],
];

/** Runs a graph of one parameter `w`, whose copy and activations are in half precision, and reads its output `y`. */
async function run(
  gpu: Gpu,
  [rows, cols]: [number, number],
  data: Float32Array,
  define: (w: Tensor) => Tensor,
): Promise<{ y: Float32Array; master: Float32Array; bytes: number }> {
  const graph = new Graph();
  const w = graph.parameter("w", rowsOf(rows), axis(cols));
  graph.output("y", define(w));
  const specs = graph.tensors.filter((t) => t.kind === "parameter")
    .map((t) => ({ name: t.name, rows: t.rows, cols: t.cols, decay: true }));
  const store = new ParameterStore(gpu, specs, { training: false, mixed_precision: "f16" });
  store.write("w", data);
  if (specs.length > 1) store.write("one", identity(cols));
  store.syncMirrors();
  const program = new Program(gpu, plan(graph, gpu, store.layout, "f16"), store, kernelsOf(gpu));
  try {
    program.run();
    const y = await program.read("y");
    gpu.check();
    return { y, master: await store.read("w"), bytes: program.plan.memory.activations };
  } finally {
    program.destroy();
    store.destroy();
  }
}

function identity(n: number): Float32Array {
  return new Float32Array(n * n).map((_, i) => i % (n + 1) === 0 ? 1 : 0);
}

testOperands("kernels read weights rounded to half precision, the weights stay float32", async (gpu) => {
  const [rows, cols] = [131, 21];
  const data = randomMatrix(rows, cols, 1);
  data.set(EDGES, cols);
  const { y, master } = await run(gpu, [rows, cols], data, (w) => scale(w, 1));
  assert.deepEqual(master, data);
  assert.deepEqual(y, data.map(half));
});

testOperands(
  "what is too small for 11 bits becomes a multiple of half precision's smallest number",
  async (gpu) => {
    const data = randomMatrix(9, 12, 2, 1e-6);
    const { y } = await run(gpu, [9, 12], data, (w) => scale(w, 1));
    assert.ok(y.every((value, i) => value === half(data[i]!))); // -0 is 0
  },
);

testOperands("an activation between two kernels is rounded to half precision", async (gpu) => {
  const [rows, cols] = [131, 20];
  const data = randomMatrix(rows, cols, 3).map((value) => Math.fround(half(value)));
  data[0] = 30000;
  data[cols] = 40000;
  const { y, bytes } = await run(gpu, [rows, cols], data, (w) => {
    const one = w.graph.parameter("one", rowsOf(cols), axis(cols));
    return matmul(scale(w, 1.7), one);
  });
  const expected = data.map((value) => half(Math.fround(Math.fround(1.7) * value)));
  const overflown = y.subarray(cols, 2 * cols);
  assert.equal(overflown[0], Infinity);
  assert(overflown.every((value) => !Number.isFinite(value))); // infinity times 0
  assert.deepEqual(y.subarray(2 * cols), expected.subarray(2 * cols));
  assert.deepEqual(y.subarray(0, cols), expected.subarray(0, cols));
  assert(bytes >= rows * cols * 2 && bytes < rows * cols * 3, `${bytes} bytes`);
});

testOperands("a model whose weights half precision can hold says the same in it", async (gpu) => {
  const config = modelConfig({ n_layer: 1, n_head: 3, n_embd: 21, n_positions: 40, vocab_size: 13 });
  const weights = initialWeights(config, 3);
  for (const { data } of weights.values()) data.forEach((value, i) => data[i] = half(value));
  const logits: Float32Array[] = [];
  for (const mixed_precision of ["none", "f16"] as const) {
    const store = new ParameterStore(gpu, parameterSpecs(config), { training: false, mixed_precision });
    for (const { name } of parameters(config)) store.write(name, weights.get(name)!.data);
    store.syncMirrors();
    const generator = new Generator(gpu, config, store);
    logits.push(await generator.feed(Array.from({ length: 35 }, (_, i) => i % 13)));
    generator.destroy();
    store.destroy();
  }
  assert.deepEqual(logits[1], logits[0]);
});
