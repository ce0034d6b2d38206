/**
 * The parameter store: weights, gradients and the optimizer's state in a few large buffers that every program shares, and
 * where kernels read weights as textures or in half precision a copy of each that is renewed after an optimizer step.
 *
 * Parameters that decay, that do not, and that are frozen stand in different chunks, so that the optimizer runs over whole
 * ranges and what is frozen has no gradient and no state. How they are laid out is in `parameter_layout.ts`.
 */

import { logicalLength } from "./graph.ts";
import type { Gpu } from "./device.ts";
import { type Elements, packMatrix, unpackMatrix } from "./matrix.ts";
import { type OptimizerName, planeBytes, type StateName, type StatePlane } from "./optimizer/state.ts";
import {
  type ChunkLayout,
  layoutParameters,
  type ParameterLayout,
  type ParameterSpec,
  type Slot,
} from "./parameter_layout.ts";
import { readBuffer } from "./readback.ts";
import { type Bound, KernelCache, type ReadyDispatch } from "./kernel.ts";
import { matrixGrid, matrixPlace } from "./kernels/grid.ts";
import { encodePass, type Profiler } from "./profile.ts";
import {
  accessor,
  type MixedPrecision,
  sliceBindings,
  type Storage,
  storageBytes,
  textureFormat,
  type TextureStorage,
} from "./storage.ts";

/** Bytes of a write from which on it is submitted at once. */
const STAGED_BYTES = 1 << 20;

/** Rows that an invocation rounds to half precision on a software adapter, where a workgroup costs much. */
const CONVERTED_ROWS = 16;

/** The planes of a chunk: the weight, its gradient, and what the optimizer keeps. */
export type Plane = "value" | "gradient" | StateName;

/** A run of parameters in one set of buffers. */
export interface Chunk extends ChunkLayout {
  readonly planes: Map<Plane, GPUBuffer>;
}

/** What a store is for. */
export interface StoreOptions {
  /** Whether it holds gradients and the optimizer's state, beside the weights. */
  training: boolean;
  /** Whose state. @default "adamw" */
  optimizer?: OptimizerName;
  /** `f16`: kernels read matrices in half precision; what is written, trained and read back stays float32. @default "none" */
  mixed_precision?: MixedPrecision;
}

/** Weights on the device. */
export class ParameterStore {
  readonly layout: ParameterLayout;
  readonly chunks: Chunk[];
  readonly #gpu: Gpu;
  readonly #mirrors = new Map<string, GPUTexture | GPUBuffer>();
  /** The kernels that renew copies in half precision, by parameter. */
  readonly #conversions = new Map<string, ReadyDispatch>();

  /** Allocates the store, zeroed; with `training` also gradients and the optimizer's state of what is not frozen. */
  constructor(gpu: Gpu, specs: ParameterSpec[], { training, optimizer, mixed_precision }: StoreOptions) {
    this.#gpu = gpu;
    this.layout = layoutParameters(specs, gpu, optimizer, mixed_precision);
    this.chunks = this.layout.chunks.map((chunk) => {
      const planes = new Map<Plane, GPUBuffer>([["value", this.#buffer(chunk.size, "value")]]);
      if (training && !chunk.frozen) {
        planes.set("gradient", this.#buffer(chunk.size, "gradient"));
        for (const plane of chunk.state) {
          planes.set(plane.name, this.#buffer(planeBytes(plane, chunk.size), plane.name));
        }
      }
      return { ...chunk, planes };
    });
    const kernels = new KernelCache(gpu);
    for (const [name, { mirror }] of this.layout.slots) {
      if (mirror === undefined) continue;
      this.#mirrors.set(
        name,
        mirror.kind === "texture" ? this.#texture(mirror, name) : this.#buffer(storageBytes(mirror), name),
      );
      if (mirror.element === "f16") this.#conversions.set(name, this.#conversion(name, mirror, kernels));
    }
  }

  #texture({ width, height, element }: TextureStorage, label: string): GPUTexture {
    return this.#gpu.device.createTexture({
      label,
      size: [width, height],
      format: textureFormat(element),
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
    });
  }

  #buffer(size: number, label: string): GPUBuffer {
    return this.#gpu.device.createBuffer({
      label,
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
  }

  /** The slot of a parameter. */
  slot(name: string): Slot {
    const slot = this.layout.slots.get(name);
    if (slot === undefined) throw new Error(`no parameter named ${name}`);
    return slot;
  }

  /** The copy of a parameter that kernels read, where they do not read the weights themselves; see `Slot.mirror`. */
  mirror(name: string): GPUTexture | GPUBuffer | undefined {
    return this.#mirrors.get(name);
  }

  /** The buffer of one plane of a parameter's chunk. */
  buffer(name: string, plane: Plane): GPUBuffer {
    const buffer = this.chunks[this.slot(name).chunk]!.planes.get(plane);
    if (buffer === undefined) {
      throw new Error(
        `the parameter store holds no ${plane} of ${name}: it is frozen, or there is no training`,
      );
    }
    return buffer;
  }

  /**
   * Writes a plane of one parameter; call `syncMirrors` when all are written.
   *
   * @param data logical elements, `[rows, cols]`; of a plane with one number a block, those of all blocks
   */
  write(name: string, data: Float32Array | Uint8Array, plane: Plane = "value"): void {
    const { spec, storage } = this.slot(name);
    const { buffer, offset, bytes, form } = this.#place(name, plane);
    const expected = form.per > 1 ? bytes / 4 : logicalLength(spec.rows) * logicalLength(spec.cols);
    if (data.length !== expected) {
      throw new Error(`${name}: expected ${expected} elements, got ${data.length}`);
    }
    if (data instanceof Uint8Array !== (form.dtype === "U8")) {
      throw new Error(`${plane} of ${name} is ${form.dtype}`);
    }
    const packed = form.per > 1
      ? data.slice() as Float32Array<ArrayBuffer>
      : packMatrix(data, spec.rows, spec.cols, storage.pitch * 4);
    this.#gpu.device.queue.writeBuffer(buffer, offset, packed);
    // A write waits in a staging copy of its own for the next submit: large ones must not pile up.
    if (packed.byteLength > STAGED_BYTES) this.#gpu.device.queue.submit([]);
  }

  /** Reads a plane of one parameter back, as `write` takes it. */
  async readPlane(name: string, plane: Plane): Promise<Elements> {
    const { spec, storage } = this.slot(name);
    const { buffer, offset, bytes, form } = this.#place(name, plane);
    const stored = await readBuffer(this.#gpu, buffer, offset, bytes);
    if (form.per > 1) return new Float32Array(stored);
    const packed = form.dtype === "U8" ? new Uint8Array(stored) : new Float32Array(stored);
    return unpackMatrix(packed, spec.rows, spec.cols, storage.pitch * 4);
  }

  /** Reads one parameter back (logical elements, `[rows, cols]`); or another of its planes that is float32. */
  async read(name: string, plane: Plane = "value"): Promise<Float32Array<ArrayBuffer>> {
    const data = await this.readPlane(name, plane);
    if (data instanceof Float32Array) return data;
    throw new Error(`${plane} of ${name} is U8`);
  }

  /** Where a parameter stands in one of its planes, in bytes. */
  #place(name: string, plane: Plane) {
    const { chunk, offset, storage } = this.slot(name);
    const buffer = this.buffer(name, plane);
    const state = this.chunks[chunk]!.state.find((each) => each.name === plane);
    const form: Pick<StatePlane, "dtype" | "per"> = state ?? { dtype: "F32", per: 1 };
    const size = Math.ceil(storageBytes(storage) / (4 * form.per)) * 4 * form.per; // whole blocks
    return {
      buffer,
      offset: planeBytes(form, offset),
      bytes: planeBytes(form, size),
      form,
    };
  }

  /** The chunks that training changes. */
  get trained(): Chunk[] {
    return this.chunks.filter(({ frozen }) => !frozen);
  }

  /** The kernel that rounds a parameter to half precision. */
  #conversion(name: string, mirror: Storage, kernels: KernelCache): ReadyDispatch {
    const { storage, offset } = this.slot(name);
    const { rows, cols } = mirror;
    const slices = sliceBindings(storage, { buffer: this.buffer(name, "value"), offset });
    const copy = this.#mirrors.get(name)!;
    const run = this.#gpu.profile === "gpu" ? 1 : CONVERTED_ROWS;
    return kernels.prepare({
      label: "weight in half precision",
      code: `${accessor("weight", storage, "read", 0)}${accessor("copy", mirror, "write", slices.length)}
@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
${matrixPlace(Math.ceil(rows / run), cols)}  let end = min(${rows}u, (row + 1u) * ${run}u);
  for (var at = row * ${run}u; at < end; at++) { store_copy(at, col, load_weight(at, col)); }
}
`,
      bound: [
        ...slices.map((resource): Bound => ({ kind: "read", resource })),
        ...(mirror.kind === "texture"
          ? [{ kind: "texture-write" as const, resource: copy as GPUTexture }]
          : sliceBindings(mirror, { buffer: copy as GPUBuffer, offset: 0 }).map((resource): Bound => ({
            kind: "write",
            resource,
          }))),
      ],
      workgroups: matrixGrid(Math.ceil(rows / run), cols, 16),
      flops: 0,
      bytes: storageBytes(storage) + storageBytes(mirror),
    });
  }

  /** The kernels that renew the copies of what training changes, for profiles. */
  get conversions(): ReadyDispatch[] {
    return [...this.#conversions].filter(([name]) => !this.slot(name).spec.frozen).map(([, ready]) => ready);
  }

  /** Records what brings the copies up to date with the weights that training changes, or with all. */
  encodeMirrors(encoder: GPUCommandEncoder, all = false, profiler?: Profiler): void {
    const names = [...this.#mirrors.keys()].filter((name) => all || !this.slot(name).spec.frozen);
    const conversions = names.flatMap((name) => this.#conversions.get(name) ?? []);
    if (conversions.length > 0) encodePass(encoder, conversions, profiler);
    for (const name of names.filter((name) => !this.#conversions.has(name))) {
      const { offset, storage, mirror } = this.slot(name);
      const texture = this.#mirrors.get(name) as GPUTexture;
      const { cols, rows, height } = mirror as TextureStorage;
      for (let first = 0; first < rows; first += height) {
        encoder.copyBufferToTexture(
          {
            buffer: this.buffer(name, "value"),
            offset: offset + first * storage.pitch * 16,
            bytesPerRow: storage.pitch * 16,
          },
          { texture, origin: [first / height * cols, 0] },
          [cols, Math.min(height, rows - first)],
        );
      }
    }
  }

  /** Brings the copies up to date with weights written by the host. */
  syncMirrors(): void {
    const encoder = this.#gpu.device.createCommandEncoder();
    this.encodeMirrors(encoder, true);
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** Frees all buffers and textures. */
  destroy(): void {
    for (const chunk of this.chunks) for (const buffer of chunk.planes.values()) buffer.destroy();
    for (const mirror of this.#mirrors.values()) mirror.destroy();
  }
}
