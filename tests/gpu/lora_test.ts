/** Adapters of low rank: their ops, their gradients in a whole model, and that what is frozen stands still. */

import assert from "assert";
import { add, axis, Graph, linear, matmul, rowsOf, scale } from "../../gpu/mod.ts";
import {
  initialWeights,
  type ModelConfig,
  modelConfig,
  parameters,
  TrainableModel,
  type Weights,
} from "../../models/mod.ts";
import * as f64 from "./float64.ts";
import { gpt } from "./float64_gpt.ts";
import {
  assertClose,
  largest,
  OPERANDS,
  pull,
  randomIds,
  randomMatrix,
  runGraph,
  testOperands,
  withGpu,
} from "./support.ts";

/** a·b in float64. */
function product(
  { M, K, N }: { M: number; K: number; N: number },
  a: f64.Numbers,
  b: f64.Numbers,
): Float64Array {
  return f64.linear({ M, K, N }, a, b, new Float64Array(N));
}

/** The matrix with rows and columns exchanged. */
function transpose(rows: number, cols: number, a: f64.Numbers): Float64Array {
  return new Float64Array(rows * cols).map((_, i) => a[(i % rows) * cols + Math.floor(i / rows)]!);
}

testOperands("x·W + b + s·(x·A)·B and its gradients", async (gpu) => {
  for (const [M, K, N, r] of [[19, 7, 13, 3], [5, 66, 34, 9]] as const) {
    const graph = new Graph();
    const x = graph.parameter("x", rowsOf(M), axis(K));
    const w = graph.parameter("w", axis(K), axis(N));
    const b = graph.parameter("b", rowsOf(1), axis(N));
    const A = graph.parameter("A", axis(K), axis(r));
    const B = graph.parameter("B", axis(r), axis(N));
    const y = add(linear(x, w, b), matmul(scale(matmul(x, A), 0.75), B));
    graph.output("y", y);
    pull(y, [x, A, B]);
    const p = {
      x: randomMatrix(M, K, 1),
      w: randomMatrix(K, N, 2),
      b: randomMatrix(1, N, 3),
      A: randomMatrix(K, r, 4),
      B: randomMatrix(r, N, 5),
      dy: randomMatrix(M, N, 6),
    };
    const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p });
    const merged = product({ M: K, K: r, N }, p.A, p.B).map((v, i) => p.w[i]! + 0.75 * v);
    const expected = f64.linearBackward({ M, K, N }, p.x, merged, p.dy);
    const dA = product({ M: K, K: N, N: r }, expected.dw, transpose(r, N, p.B)).map((v) => 0.75 * v);
    const dB = product({ M: r, K, N }, transpose(K, r, p.A), expected.dw).map((v) => 0.75 * v);
    const terms = K + r + M + N; // roundings one after the other, at most
    assertClose("y", outputs.y!, f64.linear({ M, K, N }, p.x, merged, p.b), terms);
    assertClose("dx", gradients.x!, expected.dx, terms);
    assertClose("dA", gradients.A!, dA, terms);
    assertClose("dB", gradients.B!, dB, terms);
  }
});

/** Heads of 11 lanes, padded to 12 on the device, and a rank that is padded, too. */
const CONFIG: ModelConfig = {
  ...modelConfig({ n_layer: 2, n_head: 3, n_embd: 33, n_positions: 12, vocab_size: 37 }),
  lora: { rank: 3, alpha: 4.5, targets: ["c_attn", "c_fc", "mlp.c_proj", "attn.c_proj"] },
};
const SIZE = { B: 2, T: 11 };
const OPTIONS = {
  batch_size: SIZE.B,
  max_seq_length: SIZE.T,
  accumulate_grad_batches: 1,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weight_decay: 0.1,
  grad_clip: 1,
  seed: 1,
};

/** Weights with adapters that already say something. */
function weightsOf(config: ModelConfig): Weights {
  const weights = initialWeights({ ...config, initializer_range: 0.2 }, 3);
  let stream = 50;
  for (const [name, weight] of weights) {
    if (name.endsWith("lora_B")) weight.data = randomMatrix(1, weight.data.length, stream++, 0.2);
  }
  return weights;
}

/** The model's own weights with the adapters added to them, in float64. */
function mergedWeights(config: ModelConfig, weights: Weights): Record<string, f64.Numbers> {
  const { rank, alpha } = config.lora!;
  return Object.fromEntries(
    [...weights].filter(([name]) => !name.includes("lora_")).map(([name, { shape, data }]) => {
      const [A, B] = ["lora_A", "lora_B"].map((part) => weights.get(name.replace(/weight$|bias$/, part)));
      if (A === undefined || B === undefined || name.endsWith("bias")) return [name, data];
      const delta = product({ M: shape[0]!, K: rank, N: shape[1]! }, A.data, B.data);
      return [name, Float64Array.from(data, (v, i) => v + alpha / rank * delta[i]!)];
    }),
  );
}

for (const mode of OPERANDS.filter(({ name }) => !/folded|slices/.test(name))) { // those are the accessors' business
  Deno.test(`adapters of a whole model: loss and gradients are those of the merged weights: ${mode.name}`, () =>
    withGpu(mode.options, async (gpu) => {
      const weights = weightsOf(CONFIG);
      const model = new TrainableModel(gpu, CONFIG, OPTIONS);
      model.load(weights);
      const input_ids = randomIds(SIZE.B * SIZE.T, 1, CONFIG.vocab_size);
      const targets = randomIds(SIZE.B * SIZE.T, 2, CONFIG.vocab_size);
      model.step(1, 0, [{ input_ids, targets }]);
      const loss = (await model.readMetrics())[0]!.loss;
      const expected = gpt(CONFIG, SIZE, mergedWeights(CONFIG, weights), input_ids, targets);
      assert.ok(Math.abs(loss - expected.loss) < 1e-5, `${loss} and ${expected.loss}`);
      const { rank, alpha } = CONFIG.lora!;
      const found = await model.weights("gradient");
      const adapted = parameters(CONFIG).filter(({ name }) => name.endsWith("lora_A"));
      assert.equal(found.size, 2 * adapted.length);
      for (const { name, shape: [K] } of adapted) {
        const layer = name.replace(".lora_A", "");
        const [A, B] = [weights.get(`${layer}.lora_A`)!, weights.get(`${layer}.lora_B`)!];
        const N = B.shape[1]!;
        const dw = expected.gradients[`${layer}.weight`]!;
        const dA = product({ M: K!, K: N, N: rank }, dw, transpose(rank, N, B.data))
          .map((v) => alpha / rank * v);
        const dB = product({ M: rank, K: K!, N }, transpose(K!, rank, A.data), dw)
          .map((v) => alpha / rank * v);
        for (const [part, exact] of [["lora_A", dA], ["lora_B", dB]] as const) {
          const scale = Math.max(largest(exact), 1e-3);
          assertClose(`${layer}.${part}`, found.get(`${layer}.${part}`)!.data, exact, 500, scale);
        }
      }
      model.destroy();
    }));
}

Deno.test("training moves the adapters and nothing else, and only they have moments", () =>
  withGpu({}, async (gpu) => {
    const weights = weightsOf(CONFIG);
    const model = new TrainableModel(gpu, CONFIG, OPTIONS);
    model.load(weights);
    const batch = {
      input_ids: randomIds(SIZE.B * SIZE.T, 1, CONFIG.vocab_size),
      targets: randomIds(SIZE.B * SIZE.T, 2, CONFIG.vocab_size),
    };
    for (let step = 1; step <= 20; step++) model.step(step, 1e-2, [batch]);
    const metrics = await model.readMetrics();
    assert.ok(
      metrics.at(-1)!.loss < 0.8 * metrics[0]!.loss,
      `${metrics[0]!.loss} to ${metrics.at(-1)!.loss}`,
    );
    const after = await model.weights();
    for (const { name, frozen } of parameters(CONFIG)) {
      if (frozen) assert.deepEqual(after.get(name)!.data, weights.get(name)!.data, name);
      else assert.notDeepEqual(after.get(name)!.data, weights.get(name)!.data, name);
      assert.equal(frozen, !name.includes("lora_"));
    }
    const trained = model.store.trained.reduce((sum, { size }) => sum + size, 0);
    assert.equal(model.store.layout.trainedBytes, trained);
    assert.ok(trained < model.store.layout.planeBytes);
    await assert.rejects(model.store.read("wte.weight", "exp_avg"), /holds no exp_avg of wte\.weight/);
    model.destroy();
  }));
