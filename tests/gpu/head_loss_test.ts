/** The head fused with its loss, against float64: chunks of rows, ignored targets, extreme logits, subsets of gradients. */

import assert from "assert";
import {
  axis,
  type Gpu,
  gradients,
  Graph,
  headLoss,
  IGNORE_TARGET,
  layoutParameters,
  plan,
  rowsOf,
  type Tensor,
} from "../../gpu/mod.ts";
import * as f64 from "./float64.ts";
import { assertClose, largest, randomIds, randomMatrix, runGraph, testOperands, withGpu } from "./support.ts";

interface Case {
  M: number;
  C: number;
  V: number;
  /** Factor on random x, and so on the logits. */
  size?: number;
  targets?: Uint32Array<ArrayBuffer>;
  /** Parameters whose gradients are wanted. */
  wanted?: ("x" | "wte")[];
  slot?: number;
}

const RING = 8;

function define({ M, C, V, wanted = ["x", "wte"] }: Case): { graph: Graph; scale: number } {
  const graph = new Graph();
  const p: Record<string, Tensor> = {
    x: graph.parameter("x", rowsOf(M), axis(C)),
    wte: graph.parameter("wte", axis(V, { multiple: 128 }), axis(C)),
  };
  const targets = graph.input("targets", M);
  const scale = 1 / M;
  const losses = headLoss(p.x!, p.wte!, targets, scale, RING);
  if (wanted.length > 0) gradients(losses, wanted.map((name) => p[name]!));
  graph.output("losses", losses);
  return { graph, scale };
}

/** Runs the head of one case and compares loss and gradients. */
async function check(gpu: Gpu, c: Case): Promise<void> {
  const { M, C, V, size = 1, slot = 0, wanted = ["x", "wte"] } = c;
  const { graph, scale } = define(c);
  const targets = c.targets ?? randomIds(M, 3, V);
  const p = { x: randomMatrix(M, C, 1, size), wte: randomMatrix(V, C, 2) };
  const { outputs, gradients } = await runGraph(gpu, graph, {
    parameters: p,
    inputs: { targets },
    step: { slot },
  });
  const expected = f64.headLoss({ C, V, scale }, p.x, p.wte, targets);
  const name = JSON.stringify({ M, C, V, size });
  const bound = logitBound(C, p.x, p.wte);
  // A logit is a sum of C; the sum of exponentials of V terms adds V / V of a rounding each to its logarithm, exp itself
  // 2 (3 + 2 |logit - highest|), weighed by its own size: below 20. What is left is of the size of the logits.
  assertClose(`${name} loss`, [outputs.losses![slot]!], [expected.loss], C + 32, bound + Math.log(V));
  for (const [i, loss] of outputs.losses!.entries()) if (i !== slot) assert.equal(loss, 0);
  // dlogits are probabilities, whose relative error is the absolute one of the logits.
  const relative = C * bound + V + 32;
  if (wanted.includes("x")) {
    assertClose(`${name} dx`, gradients.x!, expected.dx, relative, scale * largest(p.wte));
  }
  if (wanted.includes("wte")) {
    assertClose(`${name} dwte`, gradients.wte!, expected.dwte, relative + M, scale * M * largest(p.x));
  }
}

/** The largest sum of absolute terms of any logit. */
function logitBound(C: number, x: Float32Array, wte: Float32Array): number {
  let most = 0;
  for (let m = 0; m < x.length; m += C) {
    for (let v = 0; v < wte.length; v += C) {
      let sum = 0;
      for (let c = 0; c < C; c++) sum += Math.abs(x[m + c]! * wte[v + c]!);
      most = Math.max(most, sum);
    }
  }
  return most;
}

testOperands("head and cross-entropy with their gradients", async (gpu) => {
  await check(gpu, { M: 1, C: 1, V: 1 });
  await check(gpu, { M: 67, C: 11, V: 131, slot: 5 });
});

Deno.test("cross-entropy in several chunks of rows, the last one shorter", async () => {
  for (const operands of ["texture", "buffer"] as const) {
    await withGpu({ operands, maxBindingBytes: 8192 }, async (gpu) => {
      const c = { M: 37, C: 6, V: 67 }; // logits of 128 columns: 16 rows a chunk
      const { graph } = define(c);
      const layout = layoutParameters(
        graph.tensors.filter((t) => t.kind === "parameter").map((t) => ({ ...t, decay: true })),
        gpu,
      );
      const { dispatches } = plan(graph, gpu, layout);
      assert.deepEqual(
        dispatches.filter((d) => d.label === "cross entropy").map((d) => d.view),
        [[0, 16], [16, 16], [32, 5]].map(([row, rows]) => ({ a_row: row, b_row: row, c_row: row, rows })),
      );
      await check(gpu, c);
      if (operands === "texture") {
        for (const wanted of [["x"], ["wte"], []] as const) {
          await check(gpu, { ...c, wanted: [...wanted] });
        }
      }
    });
  }
});

Deno.test("ignored targets have no loss and no gradient", async () => {
  await withGpu({}, async (gpu) => {
    const [M, C, V] = [9, 5, 13];
    const targets = randomIds(M, 3, V);
    for (const row of [0, 4, 8]) targets[row] = IGNORE_TARGET;
    await check(gpu, { M, C, V, targets });
    await check(gpu, { M, C, V, targets: new Uint32Array(M).fill(IGNORE_TARGET) });
  });
});

Deno.test("huge logits neither overflow nor lose the loss", async () => {
  for (const options of [{}, { operands: "buffer", profile: "gpu" }] as const) {
    await withGpu(options, async (gpu) => {
      for (const size of [1e3, 1e6]) {
        const [M, C, V] = [5, 3, 67];
        const { graph, scale } = define({ M, C, V });
        const p = { x: randomMatrix(M, C, 1, size), wte: randomMatrix(V, C, 2) };
        const targets = randomIds(M, 3, V);
        const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p, inputs: { targets } });
        const expected = f64.headLoss({ C, V, scale }, p.x, p.wte, targets);
        const bound = logitBound(C, p.x, p.wte); // the softmax is one or nothing: only the logits are rounded
        assertClose("loss", [outputs.losses![0]!], [expected.loss], C + 8, bound);
        for (const g of [...gradients.x!, ...gradients.wte!]) assert(Number.isFinite(g));
      }
    });
  }
});

Deno.test("the head's gradients cannot be asked for twice", () => {
  const graph = new Graph();
  const x = graph.parameter("x", rowsOf(2), axis(4));
  const wte = graph.parameter("wte", axis(8), axis(4));
  const losses = headLoss(x, wte, graph.input("targets", 2), 1, 1);
  gradients(losses, [x]);
  assert.throws(() => gradients(losses, [wte]), /differentiated twice/);
});
