/** What the engine's tests share: the ways of holding operands, running a graph once, and comparing to rounding. */

import assert from "assert";
import {
  type Gpu,
  type GpuOptions,
  gradients,
  type Graph,
  KernelCache,
  openGpu,
  ParameterStore,
  plan,
  Program,
  rowsOf,
  type StepValues,
  type Tensor,
} from "../../gpu/mod.ts";
import type { GradientOptions } from "../../gpu/autodiff.ts";
import type { Op } from "../../gpu/op.ts";
import { normal, randomInt } from "../../common/mod.ts";
import { type ModelConfig, parameters } from "../../models/mod.ts";

/** Deterministic normal numbers. */
export function randomMatrix(
  rows: number,
  cols: number,
  stream: number,
  scale = 1,
): Float32Array<ArrayBuffer> {
  return new Float32Array(rows * cols).map((_, i) => scale * normal(7, stream, i));
}

/** Deterministic ids below `limit`. */
export function randomIds(length: number, stream: number, limit: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(length).map((_, i) => randomInt(7, stream, i, limit));
}

/** Parameters of a model, larger than fresh ones so that mistakes show; gains of norms around 1. */
export function randomParameters(config: ModelConfig): Record<string, Float32Array<ArrayBuffer>> {
  return Object.fromEntries(
    parameters(config).map(({ name, shape }, stream) => {
      const values = randomMatrix(1, shape.reduce((a, b) => a * b, 1), 100 + stream, 0.3);
      return [name, /(ln_.|_norm)\.weight/.test(name) ? values.map((v) => v + 1) : values];
    }),
  );
}

/** The ways of holding operands, and the families of kernels, that every op is tested with. */
export const OPERANDS: { name: string; options: GpuOptions }[] = [
  { name: "textures", options: { operands: "texture" } },
  { name: "textures, folded", options: { operands: "texture", maxTextureSide: 64 } },
  { name: "buffers", options: { operands: "buffer" } },
  { name: "buffers, GPU kernels", options: { operands: "buffer", profile: "gpu" } },
  { name: "buffers in slices", options: { operands: "buffer", maxBindingBytes: 32768 } },
];

/** Opens a device, runs `body`, and closes it whatever happens. */
export async function withGpu<T>(options: GpuOptions, body: (gpu: Gpu) => T | Promise<T>): Promise<T> {
  const gpu = await openGpu(options);
  try {
    const result = await body(gpu);
    gpu.check();
    return result;
  } finally {
    gpu.close();
  }
}

/** Registers a test for each of `OPERANDS`. */
export function testOperands(name: string, body: (gpu: Gpu) => Promise<void>): void {
  for (const mode of OPERANDS) Deno.test(`${name}: ${mode.name}`, () => withGpu(mode.options, body));
}

/** Inputs and parameters of a run, by name. */
export interface RunValues {
  parameters: Record<string, Float32Array>;
  inputs?: Record<string, Uint32Array<ArrayBuffer>>;
  step?: StepValues;
}

/** What a run gave, by name. */
export interface RunResult {
  outputs: Record<string, Float32Array>;
  gradients: Record<string, Float32Array>;
}

/** Runs a graph once; returns its outputs and the gradients of its parameters. */
export async function runGraph(gpu: Gpu, graph: Graph, values: RunValues): Promise<RunResult> {
  const opened = openGraph(gpu, graph, values.parameters);
  try {
    return await opened.run(values);
  } finally {
    opened.close();
  }
}

const kernelCaches = new WeakMap<Gpu, KernelCache>();

/** One cache of kernels for a device, since compiling takes most of the time of these tests. */
export function kernelsOf(gpu: Gpu): KernelCache {
  const cache = kernelCaches.get(gpu) ?? new KernelCache(gpu);
  kernelCaches.set(gpu, cache);
  return cache;
}

/** A graph on the device, to be run more than once. */
export function openGraph(gpu: Gpu, graph: Graph, parameters: Record<string, Float32Array>): {
  program: Program;
  store: ParameterStore;
  run(values: Omit<RunValues, "parameters">): Promise<RunResult>;
  close(): void;
} {
  const specs = graph.tensors.filter((t) => t.kind === "parameter")
    .map((t) => ({ name: t.name, rows: t.rows, cols: t.cols, decay: true }));
  const store = new ParameterStore(gpu, specs, { training: true });
  for (const { name } of specs) store.write(name, parameters[name]!);
  store.syncMirrors();
  const program = new Program(gpu, plan(graph, gpu, store.layout), store, kernelsOf(gpu));
  const run = async (values: Omit<RunValues, "parameters">): Promise<RunResult> => {
    for (const [name, data] of Object.entries(values.inputs ?? {})) program.write(name, data);
    program.setStep(values.step ?? {});
    program.run();
    const result: RunResult = { outputs: {}, gradients: {} };
    for (const name of graph.outputs.keys()) result.outputs[name] = await program.read(name);
    for (const { name } of specs) result.gradients[name] = await store.read(name, "gradient");
    gpu.check();
    return result;
  };
  const close = () => {
    program.destroy();
    store.destroy();
  };
  return { program, store, run, close };
}

/** An op that is only differentiated, never computed. */
const weightedSumOp: Op = {
  name: "weighted_sum",
  backward: (node) => [node.inputs[1]!, undefined],
};

/**
 * Adds the gradients of the sum of y ⊙ dy, so that the gradient of `y` is the parameter named `dy`, which this adds to
 * the graph: a way to test the gradient rule of one op alone.
 */
export function pull(y: Tensor, parameters: Tensor[], options: GradientOptions = {}): void {
  const { graph } = y;
  const dy = graph.parameter("dy", y.rows, y.cols);
  const sum = graph.node(weightedSumOp, [y, dy], {}, [{ rows: rowsOf(1), cols: rowsOf(1) }]).outputs[0]!;
  gradients(sum, parameters, options);
}

/** Half a unit in the last place of a float32 of 1: what one rounding costs at most. */
export const ROUNDING = 2 ** -24;

/** The largest absolute value. */
export function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
}

/**
 * Asserts that two arrays agree to float32 rounding: no element differs by more than `roundings` roundings of a number
 * of size `scale`.
 *
 * @param roundings operations one after the other that a result went through, such as the length of its sum
 * @param scale size of the terms that were summed; by default that of the largest result
 */
export function assertClose(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  roundings: number,
  scale: number | ArrayLike<number> = largest(expected),
): void {
  assert.equal(actual.length, expected.length, `${name}: length`);
  for (let i = 0; i < actual.length; i++) {
    const allowed = roundings * ROUNDING * (typeof scale === "number" ? scale : scale[i]!);
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= allowed)) { // NaN is a difference
      assert.fail(
        `${name}[${i}]: ${actual[i]} instead of ${expected[i]}, ${difference} apart, ${allowed} allowed`,
      );
    }
  }
}

/** Largest absolute difference. */
export function maxDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`lengths ${actual.length} and ${expected.length}`);
  let most = 0;
  for (let i = 0; i < actual.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!);
    if (!(d <= most)) most = d; // NaN counts as a difference
  }
  return most;
}
