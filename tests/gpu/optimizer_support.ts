/** What the tests of the optimizers share: parameters of every kind, and an optimizer over them on a device. */

import { axis, type Gpu, Optimizer, type OptimizerOptions, ParameterStore, rowsOf } from "../../gpu/mod.ts";
import { readBuffer } from "../../gpu/readback.ts";
import { kernelsOf, randomMatrix } from "./support.ts";

/** Matrices that decay, one of them with padded heads and one of three matrices of different widths, and vectors that do not. */
export const SPECS = [
  { name: "w", rows: axis(11), cols: axis(7), decay: true, matrices: [1] },
  { name: "b", rows: rowsOf(1), cols: axis(7), decay: false },
  { name: "heads", rows: axis(5, { groups: 3 }), cols: axis(9), decay: true, matrices: [1] },
  { name: "embedding", rows: axis(20), cols: axis(8), decay: true },
  { name: "gain", rows: rowsOf(1), cols: axis(61), decay: false },
  { name: "qkv", rows: axis(9), cols: axis(3, { groups: 4 }), decay: true, matrices: [2, 1, 1] },
  { name: "wide", rows: axis(11), cols: axis(22), decay: true, matrices: [1] },
];

/** Bytes of a binding that cut the store into several ranges, which parameters lie across. */
export const SMALL_BINDING = 1536;

/** Elements of each. */
export const SIZES = new Map(
  SPECS.map((s) => [s.name, s.rows.groups * s.rows.size * s.cols.groups * s.cols.size]),
);

/** Whether each decays. */
export const DECAYS = new Map(SPECS.map((s) => [s.name, s.decay]));

/** Usual settings, without clipping. */
export const SETTINGS: OptimizerOptions = {
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weight_decay: 0.1,
  grad_clip: 0,
};

/** Normal numbers for every parameter. */
export function random(stream: number, scale = 1): Record<string, Float32Array<ArrayBuffer>> {
  return Object.fromEntries(
    [...SIZES].map(([name, n], i) => [name, randomMatrix(1, n, 10 * stream + i, scale)]),
  );
}

/** Zeros for every parameter. */
export function zeros(): Record<string, Float32Array<ArrayBuffer>> {
  return Object.fromEntries([...SIZES].map(([name, n]) => [name, new Float32Array(n)]));
}

const RING = 4;

/** A store and its optimizer on a device. */
export function openOptimizer(
  gpu: Gpu,
  settings: OptimizerOptions,
  values: Record<string, Float32Array>,
  specs: typeof SPECS = SPECS,
) {
  const { optimizer: name = "adamw" } = settings;
  const store = new ParameterStore(gpu, specs, { training: true, optimizer: name });
  for (const [name, data] of Object.entries(values)) store.write(name, data);
  store.syncMirrors();
  const optimizer = new Optimizer(gpu, store, kernelsOf(gpu), { ...settings, ring: RING });
  let t = 0;
  return {
    store,
    optimizer,
    /** One update; returns the reported norm. */
    async step(learning_rate: number, gradients: Record<string, Float32Array>): Promise<number> {
      for (const [name, data] of Object.entries(gradients)) store.write(name, data, "gradient");
      t++;
      optimizer.setStep({
        learning_rate,
        slot: t % RING,
        correction1: 1 - settings.beta1 ** t,
        correction2: 1 - settings.beta2 ** t,
      });
      const encoder = gpu.device.createCommandEncoder();
      optimizer.encode(encoder);
      gpu.device.queue.submit([encoder.finish()]);
      return new Float32Array(await readBuffer(gpu, optimizer.norms, 0, 4 * RING))[t % RING]!;
    },
    /** All planes but the gradients', each as `<parameter> <plane>`. */
    async read(): Promise<Record<string, Float32Array | Uint8Array>> {
      const all: Record<string, Float32Array | Uint8Array> = {};
      for (const { name } of specs) {
        const { state } = store.chunks[store.slot(name).chunk]!;
        for (const plane of ["value" as const, ...state.map((s) => s.name)]) {
          all[`${name} ${plane}`] = await store.readPlane(name, plane);
        }
      }
      return all;
    },
    close() {
      optimizer.destroy();
      store.destroy();
    },
  };
}
