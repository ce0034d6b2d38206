/**
 * How fast matrix products are on this adapter, measured as a step pays for them: operands stand in buffers, are brought
 * to where kernels read them (a copy to textures on some adapters, each time anew), multiplied, and the result is back in
 * a buffer. A sample of the result is checked, so that no wrong kernel looks fast.
 */

import { normal } from "../../../common/mod.ts";
import type { Gpu } from "../../device.ts";
import { axis, Graph, rowsOf, type Tensor } from "../../graph.ts";
import { KernelCache } from "../../kernel.ts";
import { ParameterStore } from "../../parameters.ts";
import { plan } from "../../plan.ts";
import { Program } from "../../program.ts";
import { Readback } from "../../readback.ts";
import { linear, matmulTransposed, weightGradient } from "./mod.ts";
import { worstError } from "./sampled_error.ts";
import type { MatmulMode } from "./spec.ts";

/** A product to measure: C [M, N] with sums of length K, in one of the three layouts. */
export interface MatmulShape {
  mode: MatmulMode;
  M: number;
  N: number;
  K: number;
}

/** How fast a product was. */
export interface MatmulSpeed extends MatmulShape {
  /** 10⁹ floating-point operations a second, 2·M·N·K of them a product: the fastest group of products, and the median. */
  gflops_best: number;
  gflops_median: number;
  /** Largest error among some elements of the result, against float64. */
  max_abs_error: number;
}

/** Seconds of one group of products. */
const GROUP_SECONDS = 0.1;

/**
 * Measures one product.
 *
 * @param seconds about how long
 */
export async function benchmarkMatmul(gpu: Gpu, shape: MatmulShape, seconds: number): Promise<MatmulSpeed> {
  const { mode, M, N, K } = shape;
  const graph = new Graph();
  const sizes = { a: mode === "TN" ? [K, M] : [M, K], b: mode === "NT" ? [N, K] : [K, N], bias: [1, N] };
  const operand = (name: keyof typeof sizes) => {
    const [rows, cols] = sizes[name] as [number, number];
    return graph.parameter(name, rowsOf(rows), axis(cols));
  };
  const a = operand("a");
  const b = operand("b");
  graph.output("c", product(mode, a, b, () => operand("bias")));
  const specs = graph.tensors.filter((t) => t.kind === "parameter")
    .map(({ name, rows, cols }) => ({ name, rows, cols, decay: true }));
  const store = new ParameterStore(gpu, specs, { training: false });
  const values = specs.map(({ name }, stream) => {
    const [rows, cols] = sizes[name as keyof typeof sizes] as [number, number];
    return new Float32Array(rows * cols).map((_, i) => name === "bias" ? 0 : normal(1, stream, i));
  });
  specs.forEach(({ name }, i) => store.write(name, values[i]!));
  const program = new Program(gpu, plan(graph, gpu, store.layout), store, new KernelCache(gpu));
  const marker = gpu.device.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_SRC });
  const readback = await Readback.create(gpu, 16);
  try {
    const time = async (count: number) => {
      const begin = performance.now();
      const encoder = gpu.device.createCommandEncoder();
      for (let i = 0; i < count; i++) {
        store.encodeMirrors(encoder);
        program.encode(encoder);
      }
      gpu.device.queue.submit([encoder.finish()]);
      await readback.read(marker);
      return (performance.now() - begin) / 1000 / count;
    };
    await time(1); // compiles
    const count = Math.max(1, Math.ceil(GROUP_SECONDS / await time(1)));
    const times: number[] = [];
    for (const end = performance.now() + seconds * 1000; performance.now() < end || times.length < 3;) {
      times.push(await time(count));
    }
    times.sort((x, y) => x - y);
    const gflops = (t: number) => 2 * M * N * K / t / 1e9;
    return {
      ...shape,
      gflops_best: gflops(times[0]!),
      gflops_median: gflops(times[times.length >> 1]!),
      max_abs_error: worstError(shape, values[0]!, values[1]!, await program.read("c")),
    };
  } finally {
    readback.destroy();
    marker.destroy();
    program.destroy();
    store.destroy();
  }
}

/** The product as the engine computes it: a linear layer, its input's gradient, its weight's gradient. */
function product(mode: MatmulMode, a: Tensor, b: Tensor, bias: () => Tensor): Tensor { // -> [M, N]
  switch (mode) {
    case "NN":
      return linear(a, b, bias());
    case "NT":
      return matmulTransposed(a, b);
    case "TN":
      return weightGradient(a, b);
  }
}
