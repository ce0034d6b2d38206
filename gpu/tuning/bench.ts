/**
 * One kernel on a bench: the op alone on made-up operands of its true shape, planned as a step plans it, so that candidates
 * run with the accessors that they will have. A candidate's whole result is compared with the default's, and the default's
 * with float64 sums (products), before its time counts. Leaves out what a step fuses behind a product.
 */

import { normal } from "../../common/mod.ts";
import type { Gpu } from "../device.ts";
import { axis, Graph, logicalLength, physicalLength, rowsOf, type Tensor } from "../graph.ts";
import { KernelCache, type ReadyDispatch } from "../kernel.ts";
import { attention, cachedAttention } from "../kernels/attention/mod.ts";
import { keyHeads } from "../kernels/attention/pattern.ts";
import { worstError } from "../kernels/matmul/sampled_error.ts";
import {
  dispatchMatmul,
  lastRow,
  linear,
  matmul,
  matmulTransposed,
  weightGradient,
} from "../kernels/matmul/mod.ts";
import type { Op } from "../op.ts";
import { ParameterStore } from "../parameters.ts";
import { plan } from "../plan.ts";
import { encodePass, Profiler, timestampsMeasure } from "../profile.ts";
import { Program } from "../program.ts";
import { Readback } from "../readback.ts";
import { type Choice, type MatmulSite, type Site, siteKey } from "./choices.ts";

/** A candidate on the device. */
export interface Trial {
  /** Runs the kernel so often, alone, and gives the seconds of one run. */
  time(count: number): Promise<number>;
  /** What the kernel made, all of it. */
  result(): Promise<Float32Array>;
  destroy(): void;
}

/** Where candidates for one kernel are tried. */
export interface Bench {
  trial(choice: Choice): Promise<Trial>;
  /** What is wrong with a result: the message; undefined when it is right. Products are set against float64 sums. */
  fault(result: Float32Array): string | undefined;
  /** How far two right results may be apart. */
  tolerance(reference: Float32Array): number;
  destroy(): void;
}

/** Numbers of chance are repeated after so many, a prime, since making them takes longer than any kernel. */
const POOL = 65521;

/** float32's relative rounding error. */
const EPSILON = 2 ** -23;

/** Sets up a bench: operands on the device. */
export async function openBench(gpu: Gpu, site: Site): Promise<Bench> {
  const graph = new Graph();
  graph.output("result", define(graph, site));
  const specs = graph.tensors.filter((t) => t.kind === "parameter")
    .map(({ name, rows, cols }) => ({ name, rows, cols, decay: true }));
  const mixed_precision = site.half ? "f16" : "none";
  const store = new ParameterStore(gpu, specs, { training: false, mixed_precision });
  const values = specs.map(({ name, rows, cols }, stream) =>
    operand(rows.groups * rows.size * cols.groups * cols.size, name === "bias" ? undefined : stream)
  );
  specs.forEach(({ name }, i) => store.write(name, values[i]!));
  store.syncMirrors();
  const kernels = new KernelCache(gpu);
  const clock = await Clock.create(gpu);
  const key = siteKey(site);
  return {
    async trial(choice) {
      const planned = plan(graph, { ...gpu, choices: { [key]: choice } }, store.layout, mixed_precision);
      gpu.device.pushErrorScope("validation"); // a kernel that the driver refuses is no candidate, and no failure
      const program = new Program(gpu, planned, store, kernels);
      const dispatches = program.dispatches.filter((_, i) => {
        const { chosen } = planned.dispatches[i]!;
        return chosen !== undefined && siteKey(chosen.site) === key;
      });
      program.setStep({ position: site.op === "cached attention" ? site.shape.T_max - site.shape.N : 0 });
      program.run(); // what the kernel reads, and on llvmpipe its machine code, is made here
      const refused = await gpu.device.popErrorScope();
      if (refused !== null) {
        program.destroy();
        throw new Error(refused.message);
      }
      await clock.settle();
      return {
        time: (count) => clock.time(dispatches, count),
        async result() {
          program.run();
          return await program.read("result");
        },
        destroy: () => program.destroy(),
      };
    },
    fault: (result) => site.op === "matmul" ? productFault(site, values[0]!, values[1]!, result) : undefined,
    tolerance(reference) {
      if (site.op === "matmul") return productTolerance(site);
      return (site.half ? 4e-3 : 2e-5) * reference.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    },
    destroy() {
      clock.destroy();
      store.destroy();
    },
  };
}

/** Adds the op to a graph, and behind it a reader, so that its result stands where a step would have it. */
function define(graph: Graph, site: Site): Tensor {
  if (site.op === "matmul") return product(graph, site);
  const { shape: { B, H, hd } } = site;
  const H_kv = keyHeads(site.shape);
  const qkvOf = (rows: number) => graph.parameter("qkv", rowsOf(rows), axis(hd, { groups: H + 2 * H_kv }));
  const { alibi, sparse } = site.shape;
  const variant = { n_head: H, n_kv_head: H_kv, alibi, sparse };
  if (site.op === "cached attention") {
    const { N, T_max } = site.shape;
    const cache = (name: string) => graph.state(name, rowsOf(B * T_max), axis(hd, { groups: H_kv }));
    const y = cachedAttention(qkvOf(B * N), cache("k"), cache("v"), { ...variant, B, N, T_max });
    return lastRow(y, B * N);
  }
  const { T } = site.shape;
  const y = attention(qkvOf(B * T), { ...variant, B, T, dropout: site.dropout, site: 1 });
  if (site.kind === "forward") return lastRow(y, B * T);
  const dy = graph.parameter("dy", y.rows, y.cols);
  return lastRow(y.node!.op.backward!(y.node!, [dy])[0]!, B * T);
}

/** The product as a step computes it; the gradient of a weight stands in a buffer there, all else where operands do. */
function product(graph: Graph, { mode, M, N, K, bias }: MatmulSite): Tensor {
  const [rowsA, colsA] = mode === "TN" ? [K, M] : [M, K];
  const a = graph.parameter("a", rowsOf(rowsA), axis(colsA));
  const b = mode === "NT"
    ? graph.parameter("b", axis(N), axis(K))
    : graph.parameter("b", mode === "TN" ? rowsOf(K) : axis(K), axis(N));
  switch (mode) {
    case "NN":
      return lastRow(bias ? linear(a, b, graph.parameter("bias", rowsOf(1), axis(N))) : matmul(a, b), M);
    case "NT":
      return lastRow(matmulTransposed(a, b), M);
    case "TN":
      return bias
        ? weightGradient(a, b)
        : graph.node(transposedOp, [a, b], {}, [{ rows: a.cols, cols: b.cols }]).outputs[0]!;
  }
}

/** aᵀ·b as the head has it: without the gradient of a bias. */
const transposedOp: Op = { // [K, M]ᵀ · [K, N] -> [M, N]
  name: "matmul_tn",
  lower(node, lowering) {
    const [a, b] = node.inputs as [Tensor, Tensor];
    dispatchMatmul(lowering, {
      node,
      mode: "TN",
      a,
      b,
      M: physicalLength(a.cols),
      N: physicalLength(b.cols),
      K: logicalLength(a.rows),
      finish: {
        text: "fn finish(row: u32, col: u32, v: vec4f) { store_c(row, col, v); }",
        args: [{ name: "c", tensor: node.outputs[0]!, access: "write" }],
      },
    });
  },
};

/** Numbers of an operand; zeros without a stream. */
function operand(length: number, stream: number | undefined): Float32Array<ArrayBuffer> {
  const values = new Float32Array(length);
  if (stream === undefined) return values;
  const pool = new Float32Array(Math.min(length, POOL)).map((_, i) => normal(1, stream, i));
  for (let at = 0; at < length; at += POOL) values.set(pool.subarray(0, Math.min(POOL, length - at)), at);
  return values;
}

/**
 * Of a sum of K products of normal numbers, partial sums are some √K large and are rounded K times: errors are some ε·K, and one
 * product that is missing some 1.
 */
function productTolerance({ K, half }: Pick<MatmulSite, "K" | "half">): number {
  return 4 * EPSILON * K + (half ? 5e-3 * Math.sqrt(K) : 1e-5); // operands and results are rounded to 11 bits
}

function productFault(
  site: MatmulSite,
  a: Float32Array,
  b: Float32Array,
  c: Float32Array,
): string | undefined {
  const error = worstError(site, a, b, c);
  return error <= productTolerance(site) ? undefined : `an element is off by ${error}`; // NaN is no less than anything
}

/** Times dispatches: by timestamps where those measure, else by the host's clock, with the least wait that there is. */
class Clock {
  readonly #gpu: Gpu;
  readonly #marker: GPUBuffer;
  readonly #wait: Readback;
  readonly #profiler: Profiler | undefined;

  private constructor(gpu: Gpu, wait: Readback) {
    this.#gpu = gpu;
    this.#wait = wait;
    this.#marker = gpu.device.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_SRC });
    this.#profiler = timestampsMeasure(gpu) ? new Profiler(gpu) : undefined;
  }

  static async create(gpu: Gpu): Promise<Clock> {
    return new Clock(gpu, await Readback.create(gpu, 16));
  }

  /** Waits until the device has done all that it was given. */
  async settle(): Promise<void> {
    await this.#wait.read(this.#marker);
  }

  /** Seconds of one run of the dispatches, in the mean of so many. */
  async time(dispatches: ReadyDispatch[], count: number): Promise<number> {
    const encoder = this.#gpu.device.createCommandEncoder();
    const begin = performance.now();
    encodePass(encoder, Array.from({ length: count }, () => dispatches).flat(), this.#profiler);
    this.#gpu.device.queue.submit([encoder.finish()]);
    if (this.#profiler === undefined) {
      await this.settle();
      return (performance.now() - begin) / 1000 / count;
    }
    this.#profiler.submitted();
    await this.#profiler.collect();
    const times = this.#profiler.times.splice(0);
    return times.reduce((sum, t) => sum + t.end - t.begin, 0) / 1e9 / count;
  }

  destroy(): void {
    this.#wait.destroy();
    this.#marker.destroy();
    this.#profiler?.destroy();
  }
}
