/**
 * The parameter store: weights, gradients and optimizer moments in a few large buffers that every program shares, and
 * on adapters that read textures faster a texture copy of each weight that is renewed after an optimizer step.
 *
 * Parameters that decay and those that do not stand in different chunks, so that the optimizer runs over whole ranges.
 */

import { UserError } from "../common/mod.ts";
import { type Axis, logicalLength, physicalLength } from "./graph.ts";
import type { Gpu } from "./device.ts";
import { packMatrix, unpackMatrix } from "./matrix.ts";
import { readBuffer } from "./readback.ts";
import {
  type BufferStorage,
  bufferStorage,
  storageBytes,
  type TextureStorage,
  textureStorage,
} from "./storage.ts";

/** Bytes of a write from which on it is submitted at once. */
const STAGED_BYTES = 1 << 20;

/** One trained matrix. */
export interface ParameterSpec {
  name: string;
  rows: Axis;
  cols: Axis;
  /** Whether weight decay applies. */
  decay: boolean;
}

/** The four planes of a chunk: the weight, its gradient and AdamW's two moments. */
export type Plane = "value" | "gradient" | "exp_avg" | "exp_avg_sq";

/** A run of parameters in one set of buffers. */
export interface Chunk {
  readonly decay: boolean;
  /** Bytes of each plane. */
  readonly size: number;
  readonly planes: Map<Plane, GPUBuffer>;
}

/** Where one parameter stands. */
export interface Slot {
  readonly spec: ParameterSpec;
  readonly chunk: number;
  /** Byte offset in the chunk's planes. */
  readonly offset: number;
  readonly storage: BufferStorage;
  readonly mirror: TextureStorage | undefined;
}

/** The layout of a parameter store, known before anything is allocated. */
export interface ParameterLayout {
  readonly slots: Map<string, Slot>;
  readonly chunks: { decay: boolean; size: number }[];
  /** Bytes of one plane, and of all texture copies. */
  readonly planeBytes: number;
  readonly mirrorBytes: number;
}

type Limits = Pick<Gpu, "operands" | "maxBindingBytes" | "maxBufferBytes" | "maxTextureSide">;

/** Lays parameters out in chunks. Throws UserError when one is larger than the adapter's largest buffer. */
export function layoutParameters(specs: ParameterSpec[], gpu: Limits): ParameterLayout {
  const slots = new Map<string, Slot>();
  const chunks: { decay: boolean; size: number }[] = [];
  let mirrorBytes = 0;
  for (const decay of [true, false]) {
    let current = -1;
    for (const spec of specs.filter((s) => s.decay === decay)) {
      const rows = physicalLength(spec.rows);
      const cols = Math.ceil(physicalLength(spec.cols) / 4);
      const mirror = gpu.operands === "texture" ? textureStorage(rows, cols, gpu.maxTextureSide) : undefined;
      const pitch = mirror === undefined ? cols : Math.ceil(cols / 16) * 16; // copies to textures want 256-byte rows
      const storage = bufferStorage(rows, cols, pitch, gpu.maxBindingBytes);
      const bytes = Math.ceil(storageBytes(storage) / 256) * 256;
      if (bytes > gpu.maxBufferBytes) {
        throw new UserError(
          `${spec.name} takes ${bytes} bytes, the adapter's largest buffer is ${gpu.maxBufferBytes}`,
          {
            hint: "choose a smaller vocab_size or n_embd for this adapter",
          },
        );
      }
      const chunk = chunks[current];
      if (chunk === undefined || chunk.size + bytes > gpu.maxBufferBytes) {
        current = chunks.length;
        chunks.push({ decay, size: 0 });
      }
      slots.set(spec.name, { spec, chunk: current, offset: chunks[current]!.size, storage, mirror });
      chunks[current]!.size += bytes;
      if (mirror !== undefined) mirrorBytes += storageBytes(mirror);
    }
  }
  return { slots, chunks, planeBytes: chunks.reduce((sum, c) => sum + c.size, 0), mirrorBytes };
}

/** Weights on the device. */
export class ParameterStore {
  readonly layout: ParameterLayout;
  readonly chunks: Chunk[];
  readonly #gpu: Gpu;
  readonly #mirrors = new Map<string, GPUTexture>();

  /** Allocates the store, zeroed; with `training` also gradients and moments. */
  constructor(gpu: Gpu, specs: ParameterSpec[], options: { training: boolean }) {
    this.#gpu = gpu;
    this.layout = layoutParameters(specs, gpu);
    const planes: Plane[] = options.training ? ["value", "gradient", "exp_avg", "exp_avg_sq"] : ["value"];
    this.chunks = this.layout.chunks.map(({ decay, size }) => ({
      decay,
      size,
      planes: new Map(planes.map((plane) => [plane, this.#buffer(size, plane)])),
    }));
    for (const [name, slot] of this.layout.slots) {
      if (slot.mirror === undefined) continue;
      const texture = gpu.device.createTexture({
        label: name,
        size: [slot.mirror.width, slot.mirror.height],
        format: "rgba32float",
        usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
      });
      this.#mirrors.set(name, texture);
    }
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

  /** The texture copy of a parameter, where the adapter reads those. */
  mirror(name: string): GPUTexture | undefined {
    return this.#mirrors.get(name);
  }

  /** The buffer of one plane of a parameter's chunk. */
  buffer(name: string, plane: Plane): GPUBuffer {
    const buffer = this.chunks[this.slot(name).chunk]!.planes.get(plane);
    if (buffer === undefined) {
      throw new Error(`the parameter store holds no ${plane}: it was opened without training`);
    }
    return buffer;
  }

  /** Writes one parameter (logical elements, `[rows, cols]`); call `syncMirrors` when all are written. */
  write(name: string, data: Float32Array, plane: Plane = "value"): void {
    const { spec, offset, storage } = this.slot(name);
    const expected = logicalLength(spec.rows) * logicalLength(spec.cols);
    if (data.length !== expected) {
      throw new Error(`${name}: expected ${expected} elements, got ${data.length}`);
    }
    const packed = packMatrix(data, spec.rows, spec.cols, storage.pitch * 4);
    this.#gpu.device.queue.writeBuffer(this.buffer(name, plane), offset, packed);
    // A write waits in a staging copy of its own for the next submit: large ones must not pile up.
    if (packed.byteLength > STAGED_BYTES) this.#gpu.device.queue.submit([]);
  }

  /** Reads one parameter back (logical elements, `[rows, cols]`). */
  async read(name: string, plane: Plane = "value"): Promise<Float32Array<ArrayBuffer>> {
    const { spec, offset, storage } = this.slot(name);
    const bytes = await readBuffer(this.#gpu, this.buffer(name, plane), offset, storageBytes(storage));
    return unpackMatrix(new Float32Array(bytes), spec.rows, spec.cols, storage.pitch * 4);
  }

  /** Records the copies that bring the textures up to date with the weights. */
  encodeMirrors(encoder: GPUCommandEncoder): void {
    for (const [name, texture] of this.#mirrors) {
      const { offset, storage, mirror } = this.slot(name);
      const { cols, rows, height } = mirror!;
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

  /** Brings the textures up to date with weights written by the host. */
  syncMirrors(): void {
    const encoder = this.#gpu.device.createCommandEncoder();
    this.encodeMirrors(encoder);
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** Frees all buffers and textures. */
  destroy(): void {
    for (const chunk of this.chunks) for (const buffer of chunk.planes.values()) buffer.destroy();
    for (const texture of this.#mirrors.values()) texture.destroy();
  }
}
