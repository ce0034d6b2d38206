/** The ops of variants of GPT-2, forward and backward, against float64: odd shapes, all ways of holding operands. */

import {
  attention,
  type AttentionVariant,
  axis,
  Graph,
  headNorm,
  layerNorm,
  reluSquared,
  rmsNorm,
  rotary,
  rotaryTable,
  rowsOf,
  standardAttention,
  swiglu,
} from "../../gpu/mod.ts";
import * as f64 from "./float64.ts";
import * as variants from "./float64_variants.ts";
import { attentionMask } from "./masks.ts";
import { assertClose, largest, pull, randomMatrix, runGraph, testOperands } from "./support.ts";

testOperands("rms norm, and layer norm without an offset, and their gradients", async (gpu) => {
  const epsilon = 1e-5;
  for (const [M, C] of [[1, 1], [17, 67], [301, 13]] as const) {
    const graph = new Graph();
    const x = graph.parameter("x", rowsOf(M), axis(C));
    const [gamma, gain] = ["gamma", "gain"].map((name) => graph.parameter(name, rowsOf(1), axis(C)));
    const y = rmsNorm(x, gamma!, epsilon);
    graph.output("y", y);
    graph.output("layer_norm", layerNorm(x, gain!, undefined, epsilon));
    pull(y, [x, gamma!]);
    const p = {
      x: randomMatrix(M, C, 1).map((v) => v + 0.5),
      gamma: randomMatrix(1, C, 2),
      gain: randomMatrix(1, C, 3),
      dy: randomMatrix(M, C, 4),
    };
    const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p });
    const expected = variants.rmsNormBackward({ C, epsilon }, p.x, p.gamma, p.dy);
    // The mean square is a sum of C; a result then goes through a handful of products.
    const ones = new Float64Array(C).fill(1);
    const n = largest(variants.rmsNorm({ C, epsilon }, p.x, ones));
    const rstd = 1 / Math.sqrt(epsilon + Math.min(...rowMeans(C, p.x.map((v) => v * v))));
    const [dy, g] = [largest(p.dy), largest(p.gamma)];
    assertClose("y", outputs.y!, variants.rmsNorm({ C, epsilon }, p.x, p.gamma), C + 8, n * g);
    assertClose("dx", gradients.x!, expected.dx, 2 * C + 16, rstd * dy * g * (1 + n));
    assertClose("dgamma", gradients.gamma!, expected.dgamma, M + C + 8, M * dy * n);
    const zeros = new Float64Array(C);
    const centred = f64.layerNorm({ C, epsilon }, p.x, p.gain, zeros);
    assertClose("layer norm", outputs.layer_norm!, centred, C + 8, largest(p.x) * 400 * largest(p.gain));
  }
});

function rowMeans(C: number, x: f64.Numbers): number[] {
  return Array.from(
    { length: x.length / C },
    (_, m) => Array.from({ length: C }, (_, c) => x[m * C + c]!).reduce((a, b) => a + b) / C,
  );
}

testOperands("squared ReLU, SwiGLU and their gradients", async (gpu) => {
  const [M, N] = [67, 29];
  const graph = new Graph();
  const [x, gate] = ["x", "gate"].map((name) => graph.parameter(name, rowsOf(M), axis(N)));
  const y = reluSquared(swiglu(gate!, x!));
  graph.output("y", y);
  pull(y, [x!, gate!]);
  const p = { x: randomMatrix(M, N, 1), gate: randomMatrix(M, N, 2, 3), dy: randomMatrix(M, N, 3) };
  p.gate.set([0, -0, 1e-30, 20, -20, 90, -90, 1e4, -1e4]);
  p.x.set([1, 2, 3, 0, -1, 1, 0.5, 0, 1]);
  const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p });
  const h = variants.swiglu(p.gate, p.x);
  const dh = variants.reluSquaredBackward(h, p.dy);
  const { dgate, dx } = variants.swigluBackward(p.gate, p.x, dh);
  // exp(z) may be off by 3 + 2|z| units in the last place; as in GELU's test the gate passes little of that on.
  const size = (f: (i: number) => number) => h.map((_, i) => f(i));
  assertClose("y", outputs.y!, variants.reluSquared(h), 24, size((i) => Math.max(h[i]! ** 2, 1e-30)));
  const slope = (i: number) => 2 * Math.abs(h[i]! * p.dy[i]!);
  assertClose("dx", gradients.x!, dx, 36, size((i) => slope(i) * Math.abs(p.gate[i]!) + 1e-30));
  const most = size((i) => slope(i) * Math.abs(p.x[i]!) * (1 + Math.min(Math.abs(p.gate[i]!), 20)) + 1e-30);
  assertClose("dgate", gradients.gate!, dgate, 36, most);
});

/** Heads of queries, of keys and values, size of a head, sequences and tokens: sizes that are padded, groups of heads. */
const HEADS = [[3, 3, 6, 2, 5], [4, 2, 10, 3, 11], [3, 1, 2, 1, 17]] as const;

testOperands("norms of heads and rotary positions, and their gradients", async (gpu) => {
  const [epsilon, theta, step] = [1e-5, 500, { position: 3 }];
  for (const [H, H_kv, hd, B, T] of HEADS) {
    const graph = new Graph();
    const qkv = graph.parameter("qkv", rowsOf(B * T), axis(hd, { groups: H + 2 * H_kv }));
    const [q, k] = ["q", "k"].map((name) => graph.parameter(name, rowsOf(1), axis(hd)));
    const normed = headNorm(qkv, q!, k!, { n_head: H, n_kv_head: H_kv, epsilon });
    const table = rotaryTable(graph, T + 4, hd, theta);
    const y = rotary(normed, table, { T, heads: H + H_kv });
    graph.output("y", y);
    pull(y, [qkv, q!, k!]);
    const width = (H + 2 * H_kv) * hd;
    const p = {
      qkv: randomMatrix(B * T, width, 1),
      q: randomMatrix(1, hd, 2),
      k: randomMatrix(1, hd, 3),
      dy: randomMatrix(B * T, width, 4),
    };
    const { outputs, gradients } = await runGraph(gpu, graph, { parameters: p, step });
    const heads = { H, H_kv, hd, T, theta, epsilon, ...step };
    const turned = variants.rotary(heads, variants.headNorm(heads, p.qkv, p.q, p.k));
    const expected = variants.headNormBackward(heads, p.qkv, p.q, p.k, variants.rotary(heads, p.dy, -1));
    const name = JSON.stringify([H, H_kv, hd]);
    const n = Math.sqrt(hd) * Math.max(largest(p.q), largest(p.k), 1); // bound of a normed number
    const dy = 2 * largest(p.dy);
    assertClose(`${name} y`, outputs.y!, turned, hd + 16, 2 * Math.max(n, largest(p.qkv)));
    // A head's smallest root mean square magnifies rounding as it does the result.
    assertClose(`${name} dx`, gradients.qkv!, expected.dx, 4 * hd + 32, largest(expected.dx));
    assertClose(`${name} dq`, gradients.q!, expected.dq, B * T * H + hd, B * T * H * dy * Math.sqrt(hd));
    assertClose(
      `${name} dk`,
      gradients.k!,
      expected.dk,
      B * T * H_kv + hd,
      B * T * H_kv * dy * Math.sqrt(hd),
    );
  }
});

interface AttentionCase {
  shape: f64.AttentionShape;
  variant: AttentionVariant;
  dropout?: number;
}

/** Groups of heads, ALiBi (three heads and six are no power of two), strides that do and do not divide the window. */
const CASES: AttentionCase[] = [
  {
    shape: { B: 2, T: 17, H: 3, H_kv: 1, hd: 5, bias: variants.alibiBias(3) },
    variant: { n_kv_head: 1, alibi: true },
    dropout: 0.25,
  },
  {
    shape: { B: 2, T: 23, H: 2, hd: 7, sees: variants.sparseSees(4, 3) },
    variant: { sparse: { window: 4, stride: 3 } },
  },
  {
    shape: {
      B: 1,
      T: 14,
      H: 6,
      H_kv: 2,
      hd: 5,
      bias: variants.alibiBias(6),
      sees: variants.sparseSees(3, 3),
    },
    variant: { n_kv_head: 2, alibi: true, sparse: { window: 3, stride: 3 } },
    dropout: 0.3,
  },
];

testOperands(
  "attention's variants, flash and with all weights in memory, and their gradients",
  async (gpu) => {
    const [site, step] = [7, { seed: 3000000000, index: 5 }];
    for (const { shape, variant, dropout = 0 } of CASES) {
      const { B, T, H, H_kv = H, hd } = shape;
      const options = { B, T, n_head: H, dropout, site, ...variant };
      const values = {
        qkv: randomMatrix(B * T, (H + 2 * H_kv) * hd, 1, 1.5),
        dy: randomMatrix(B * T, H * hd, 2),
      };
      const mask = dropout > 0 ? attentionMask(step, site, dropout, shape) : undefined;
      const y = f64.attention(shape, values.qkv, mask);
      const dqkv = f64.attentionBackward(shape, values.qkv, values.dy, mask);
      for (const kind of ["flash", "standard"] as const) {
        const graph = new Graph();
        const qkv = graph.parameter("qkv", rowsOf(B * T), axis(hd, { groups: H + 2 * H_kv }));
        const standard = kind === "standard" ? standardAttention(qkv, options) : undefined;
        const result = standard?.y ?? attention(qkv, options);
        graph.output("y", result);
        if (standard !== undefined) graph.output("weights", standard.weights);
        pull(result, [qkv]);
        const { outputs, gradients } = await runGraph(gpu, graph, { parameters: values, step });
        const name = `${kind} ${JSON.stringify({ ...variant, dropout })}`;
        // As without variants: sums of hd and T terms, exp of scores up to 8; keys are shared by H / H_kv heads.
        assertClose(`${name} y`, outputs.y!, y, hd + T + 38);
        assertClose(`${name} dqkv`, gradients.qkv!, dqkv, 2 * (hd + T + 38) * H / H_kv);
        if (standard === undefined) continue;
        assertClose(
          `${name} weights`,
          outputs.weights!,
          f64.attentionWeights(shape, values.qkv),
          hd + T + 38,
        );
      }
    }
  },
);
