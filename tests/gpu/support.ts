/** What the engine's tests share: a device per operand storage, and running a graph over given parameters once. */

import {
  type Gpu,
  Graph,
  type GpuOptions,
  KernelCache,
  logicalLength,
  openGpu,
  ParameterStore,
  plan,
  Program,
  type StepValues,
  type Tensor,
} from "../../gpu/mod.ts";
import { normal } from "../../common/mod.ts";

/** Deterministic normal numbers. */
export function randomMatrix(rows: number, cols: number, stream: number, scale = 1): Float32Array<ArrayBuffer> {
  return new Float32Array(rows * cols).map((_, i) => scale * normal(7, stream, i));
}

/** The ways of holding operands that every kernel is tested with. */
export const OPERANDS: { name: string; options: GpuOptions }[] = [
  { name: "textures", options: { operands: "texture" } },
  { name: "buffers", options: { operands: "buffer" } },
  { name: "buffers, GPU kernels", options: { operands: "buffer", profile: "gpu" } },
  { name: "buffers in slices", options: { operands: "buffer", maxBindingBytes: 16384 } },
];

/** Opens a device, runs `body`, and closes it whatever happens. */
export async function withGpu(options: GpuOptions, body: (gpu: Gpu) => Promise<void>): Promise<void> {
  const gpu = await openGpu(options);
  try {
    await body(gpu);
    gpu.check();
  } finally {
    gpu.close();
  }
}

/** Inputs and parameters of a run, by name. */
export interface RunValues {
  parameters: Record<string, Float32Array>;
  inputs?: Record<string, Uint32Array<ArrayBuffer>>;
  step?: StepValues;
}

/** Runs a graph once; returns its outputs and the gradients of its parameters. */
export async function runGraph(
  gpu: Gpu,
  graph: Graph,
  values: RunValues,
): Promise<{ outputs: Record<string, Float32Array>; gradients: Record<string, Float32Array> }> {
  const specs = graph.tensors.filter((t) => t.kind === "parameter")
    .map((t) => ({ name: t.name, rows: t.rows, cols: t.cols, decay: true }));
  const store = new ParameterStore(gpu, specs, { training: true });
  for (const { name } of specs) store.write(name, values.parameters[name]!);
  store.syncMirrors();
  const program = new Program(gpu, plan(graph, gpu, store.layout), store, new KernelCache(gpu));
  for (const [name, data] of Object.entries(values.inputs ?? {})) program.write(name, data);
  program.setStep(values.step ?? {});
  program.run();
  const outputs: Record<string, Float32Array> = {};
  for (const name of graph.outputs.keys()) outputs[name] = await program.read(name);
  const gradients: Record<string, Float32Array> = {};
  for (const { name } of specs) gradients[name] = await store.read(name, "gradient");
  program.destroy();
  store.destroy();
  gpu.check();
  return { outputs, gradients };
}

/** Elements of a tensor without padding. */
export function elements(t: Tensor): number {
  return logicalLength(t.rows) * logicalLength(t.cols);
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
