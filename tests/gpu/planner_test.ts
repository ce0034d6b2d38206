/** Planning: what is fused and dropped, who shares memory, what it takes, and what is refused. */

import assert from "assert";
import {
  add,
  axis,
  dropout,
  gelu,
  Graph,
  layerNorm,
  layoutParameters,
  linear,
  type ParameterLayout,
  type Plan,
  plan,
  type PlanTarget,
  rotary,
  rotaryTable,
  rowsOf,
  type Tensor,
} from "../../gpu/mod.ts";
import { UserError } from "../../common/mod.ts";
import { modelConfig, parameterSpecs } from "../../models/mod.ts";
import { evaluationGraph, logitsGraph, trainingGraph } from "../../models/gpt.ts";
import { pull } from "./support.ts";

/** An adapter with WebGPU's least limits but for what a test changes; nothing is opened. */
function target(changes: Partial<PlanTarget> = {}): PlanTarget {
  return {
    operands: "buffer",
    profile: "gpu",
    maxBindingBytes: 128 << 20,
    maxBufferBytes: 256 << 20,
    maxTextureSide: 8192,
    maxStorageTextures: 4,
    maxStorageBuffers: 8,
    hasSubgroups: false,
    ...changes,
  };
}

const TEXTURES = { operands: "texture", profile: "llvmpipe256", maxStorageTextures: 16 } as const;

function layoutOf(graph: Graph, on: PlanTarget): ParameterLayout {
  return layoutParameters(
    graph.tensors.filter((t) => t.kind === "parameter").map((t) => ({ ...t, decay: true })),
    on,
  );
}

/** The kernels of a graph by their labels. */
function labels(graph: Graph, on = target()): string[] {
  return plan(graph, on, layoutOf(graph, on)).dispatches.map((d) => d.label);
}

/** A graph with x [M, C] and a linear layer of its own for every call. */
function layers(M = 5, C = 8) {
  const graph = new Graph();
  let count = 0;
  const matrix = (rows: number) => graph.parameter(`p${count++}`, rowsOf(rows), axis(C));
  const x = matrix(M);
  return {
    graph,
    x,
    matrix,
    dense: (t: Tensor) => linear(t, graph.parameter(`w${count++}`, axis(C), axis(C)), matrix(1)),
  };
}

Deno.test("element-wise nodes are computed inside the kernel that makes their input", () => {
  const { graph, x, dense, matrix } = layers();
  const h = gelu(dense(x));
  graph.output("y", add(matrix(5), dropout(dense(h), 0.1, 1)));
  assert.deepEqual(labels(graph), ["matmul NN", "matmul NN"]);
});

Deno.test("rotary positions are turned inside the product that makes queries and keys, by a table in memory once", () => {
  const [T, heads, hd, positions] = [5, 3, 4, 10];
  const graph = new Graph();
  const x = graph.parameter("x", rowsOf(2 * T), axis(8));
  const cols = axis(hd, { groups: heads });
  const qkv = linear(x, graph.parameter("w", axis(8), cols), graph.parameter("b", rowsOf(1), cols));
  const table = rotaryTable(graph, positions, hd, 100);
  graph.output("y", rotary(rotary(qkv, table, { T, heads: 2 }), table, { T, heads: 1 }));
  const on = target();
  const { dispatches, memory } = plan(graph, on, layoutOf(graph, on));
  assert.deepEqual(dispatches.map((d) => d.label), ["matmul NN"]);
  assert.equal(memory.inputs, positions * hd * 4);
});

Deno.test("element-wise nodes that no kernel can take make one kernel together", () => {
  const { graph, x, matrix } = layers();
  graph.output("y", gelu(dropout(add(x, matrix(5)), 0.1, 1)));
  assert.deepEqual(labels(graph), ["elementwise"]);
});

Deno.test("an element-wise node joins the later of two kernels, whose other input is ready by then", () => {
  const { graph, x, dense } = layers();
  const [a, b] = [dense(x), dense(x)];
  graph.output("y", add(b, a));
  assert.deepEqual(labels(graph), ["matmul NN", "matmul NN"]);
});

Deno.test("kernels that hand nothing on are followed by a kernel of their own", () => {
  const { graph, x, matrix } = layers();
  graph.output("y", gelu(layerNorm(x, matrix(1), matrix(1), 1e-5)));
  assert.deepEqual(labels(graph), ["layer norm", "elementwise"]);
});

Deno.test("a block of the model's forward pass takes seven kernels", () => {
  const config = modelConfig({ n_layer: 1, n_head: 2, n_embd: 8, n_positions: 4, vocab_size: 5 });
  assert.deepEqual(labels(logitsGraph(config, { B: 2, T: 4 })), [
    "embedding",
    "layer norm",
    "matmul NN", // c_attn
    "attention",
    "matmul NN", // c_proj and the residual
    "layer norm",
    "matmul NN", // c_fc and GELU
    "matmul NN", // c_proj and the residual
    "layer norm",
    "matmul NT", // the head
  ]);
});

Deno.test("dropout adds no kernel to a training step, only the masks to those that are there", () => {
  const of = (dropout: number) =>
    labels(trainingGraph(
      modelConfig({ n_layer: 2, n_head: 2, n_embd: 8, n_positions: 4, vocab_size: 5, dropout }),
      { B: 2, T: 4, micro_batches: 1, ring: 1 },
    ));
  const count = (list: string[]) => list.filter((label) => label !== "elementwise").length;
  assert.equal(count(of(0.1)), count(of(0)));
});

Deno.test("fusion keeps within the bindings that the adapter has for a kernel", () => {
  const { graph, x, dense, matrix } = layers();
  let y = dense(x);
  for (let i = 0; i < 20; i++) y = add(y, matrix(5));
  graph.output("y", y);
  for (const limit of [8, 16]) {
    const on = target({ maxStorageBuffers: limit, maxStorageTextures: limit });
    const { dispatches } = plan(graph, on, layoutOf(graph, on));
    assert(dispatches.length > 1);
    for (const d of dispatches) assert(d.args.length <= limit, `${d.label}: ${d.args.length} arguments`);
  }
  const model = trainingGraph(
    modelConfig({ n_layer: 2, n_head: 2, n_embd: 8, n_positions: 4, vocab_size: 5, dropout: 0.1 }),
    { B: 2, T: 4, micro_batches: 2, ring: 1 },
  );
  const on = target(); // WebGPU's least: eight storage buffers a kernel
  for (const d of plan(model, on, layoutOf(model, on)).dispatches) assert(d.args.length <= 8, d.label);
});

Deno.test("what nobody wants is not computed", () => {
  const { graph, x, dense } = layers();
  const kept = dense(x);
  gelu(dense(dense(kept)));
  graph.output("y", kept);
  assert.deepEqual(labels(graph), ["matmul NN"]);
});

Deno.test("gradients that nobody wants are not computed", () => {
  const graph = new Graph();
  const x = graph.parameter("x", rowsOf(5), axis(8));
  const w = graph.parameter("w", axis(8), axis(8));
  const b = graph.parameter("b", rowsOf(1), axis(8));
  pull(gelu(linear(x, w, b)), [x]);
  assert.deepEqual(labels(graph), ["matmul NN", "matmul NT"]);
});

Deno.test("an evaluation keeps nothing for a backward pass", () => {
  const config = modelConfig({ n_layer: 3, n_head: 2, n_embd: 8, n_positions: 4, vocab_size: 5 });
  const graph = evaluationGraph(config, { B: 2, T: 4, ring: 1 });
  const { dispatches } = plan(graph, target(), layoutOf(graph, target()));
  const names = dispatches.flatMap((d) => d.args.map((a) => a.tensor.name));
  assert.deepEqual(names.filter((name) => /stats|dlogits/.test(name)), []);
});

/** Checks blocks against lifetimes read off the dispatches, and returns the bytes that sharing saved. */
function checkBlocks({ dispatches, blocks, graph }: Plan): number {
  const uses = new Map<Tensor, number[]>();
  dispatches.forEach((d, i) => {
    for (const { tensor } of d.args) {
      if (tensor.kind === "activation" && tensor.target === undefined) {
        uses.set(tensor, [...uses.get(tensor) ?? [], i]);
      }
    }
  });
  const outputs = new Set(graph.outputs.values());
  const placed = new Set<Tensor>();
  let saved = 0;
  for (const block of blocks) {
    const busy = new Map<number, Tensor>();
    for (const { tensor } of block.tensors) {
      assert(!placed.has(tensor), `${tensor.name} has two places`);
      placed.add(tensor);
      if (outputs.has(tensor)) assert.equal(block.tensors.length, 1, `${tensor.name} is an output`);
      const [first, last] = [Math.min(...uses.get(tensor)!), Math.max(...uses.get(tensor)!)];
      for (let i = first; i <= last; i++) {
        assert(!busy.has(i), `${tensor.name} and ${busy.get(i)?.name} at kernel ${i}`);
        busy.set(i, tensor);
      }
    }
    saved += block.bytes * (block.tensors.length - 1);
  }
  assert.deepEqual([...placed].map((t) => t.id).sort(), [...uses.keys()].map((t) => t.id).sort());
  for (const { args, label } of dispatches) { // nobody reads what the same kernel writes
    for (const a of args.filter((arg) => arg.access !== "read")) {
      const others = args.filter((arg) => arg !== a && arg.tensor === a.tensor);
      assert.equal(others.length, 0, `${label}: ${a.tensor.name}`);
    }
  }
  return saved;
}

Deno.test("tensors share memory only when their lifetimes do not overlap", () => {
  const config = modelConfig({
    n_layer: 3,
    n_head: 3,
    n_embd: 21,
    n_positions: 24,
    vocab_size: 67,
    dropout: 0.1,
  });
  for (const on of [target(), target(TEXTURES), target({ ...TEXTURES, maxTextureSide: 64 })]) {
    const graphs = [
      trainingGraph(config, { B: 4, T: 24, micro_batches: 1, ring: 8 }),
      evaluationGraph(config, { B: 4, T: 24, ring: 8 }),
    ];
    for (const graph of graphs) {
      const made = plan(graph, on, layoutOf(graph, on));
      assert(checkBlocks(made) > 0);
      for (const block of made.blocks.filter((b) => b.kind === "texture")) {
        assert(block.width <= on.maxTextureSide && block.height <= on.maxTextureSide);
      }
    }
  }
});

Deno.test("activations of a deeper model without a backward pass take no more memory", () => {
  const bytes = (n_layer: number) => {
    const config = modelConfig({ n_layer, n_head: 2, n_embd: 16, n_positions: 8, vocab_size: 5 });
    const graph = evaluationGraph(config, { B: 4, T: 8, ring: 1 });
    return plan(graph, target(), layoutOf(graph, target())).memory.activations;
  };
  assert.equal(bytes(12), bytes(2));
});

Deno.test("what does not fit is refused with an error that says what to change", () => {
  const config = modelConfig({ n_layer: 1, n_head: 2, n_embd: 64, n_positions: 64, vocab_size: 500 });
  const graph = trainingGraph(config, { B: 64, T: 64, micro_batches: 1, ring: 1 });
  const refused = (on: PlanTarget, message: RegExp, hint: RegExp) =>
    assert.throws(() => plan(graph, on, layoutParameters(parameterSpecs(config), on)), (error: unknown) => {
      assert(error instanceof UserError);
      assert.match(error.message, message);
      assert.match(error.hint ?? "", hint);
      return true;
    });
  refused(target({ maxBufferBytes: 1 << 20 }), /takes \d+ bytes.*1048576/, /training\.batch_size/);
  refused(target({ maxBufferBytes: 100_000 }), /wte\.weight takes 131072 bytes.*100000/, /vocab_size/);
  refused(target({ maxBindingBytes: 2048 }), /rows of 256 bytes.*2048/, /n_embd/);
});

Deno.test("the work of a plan is counted: two operations for each product", () => {
  const { graph, x, dense } = layers(6, 8);
  graph.output("y", dense(x));
  assert.equal(plan(graph, target(), layoutOf(graph, target())).flops, 2 * 6 * 8 * 8);
});

Deno.test("a graph whose parameters the store does not hold is refused", () => {
  const { graph, x, dense } = layers();
  graph.output("y", dense(x));
  assert.throws(() => plan(graph, target(), layoutParameters([], target())), /parameter store has no p0/);
});
