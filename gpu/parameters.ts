/**
 * The parameter store: weights, gradients and optimizer moments in a few large buffers that every program shares, and
 * on adapters that read textures faster a texture copy of each weight that is renewed after an optimizer step.
 *
 * Parameters that decay, that do not, and that are frozen stand in different chunks, so that the optimizer runs over whole
 * ranges and what is frozen has no gradient and no moments.
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

/** One matrix of weights. */
export interface ParameterSpec {
  name: string;
  rows: Axis;
  cols: Axis;
  /** Whether weight decay applies. */
  decay: boolean;
  /** Never changed by training. @default false */
  frozen?: boolean;
}

/** The four planes of a chunk: the weight, its gradient and AdamW's two moments. */
export type Plane = "value" | "gradient" | "exp_avg" | "exp_avg_sq";

/** A run of parameters in one set of buffers. */
export interface Chunk {
  readonly decay: boolean;
  /** Whether it has the one plane `value` alone. */
  readonly frozen: boolean;
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
  readonly chunks: { decay: boolean; frozen: boolean; size: number }[];
  /** Bytes of all weights, and of those that are not frozen. */
  readonly planeBytes: number;
  readonly trainedBytes: number;
  /** Bytes of all texture copies. */
  readonly mirrorBytes: number;
}

type Limits = Pick<Gpu, "operands" | "maxBindingBytes" | "maxBufferBytes" | "maxTextureSide">;

/** Lays parameters out in chunks. Throws UserError when one is larger than the adapter's largest buffer. */
export function layoutParameters(specs: ParameterSpec[], gpu: Limits): ParameterLayout {
  const slots = new Map<string, Slot>();
  const chunks: { decay: boolean; frozen: boolean; size: number }[] = [];
  let mirrorBytes = 0;
  for (const { decay, frozen } of KINDS) {
    let current = -1;
    for (const spec of specs.filter((s) => s.decay === decay && (s.frozen ?? false) === frozen)) {
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
        chunks.push({ decay, frozen, size: 0 });
      }
      slots.set(spec.name, { spec, chunk: current, offset: chunks[current]!.size, storage, mirror });
      chunks[current]!.size += bytes;
      if (mirror !== undefined) mirrorBytes += storageBytes(mirror);
    }
  }
  const bytesOf = (some: { size: number }[]) => some.reduce((sum, { size }) => sum + size, 0);
  return {
    slots,
    chunks,
    planeBytes: bytesOf(chunks),
    trainedBytes: bytesOf(chunks.filter((c) => !c.frozen)),
    mirrorBytes,
  };
}

/** The kinds of chunks, in their order. */
const KINDS = [true, false].flatMap((decay) => [{ decay, frozen: false }, { decay, frozen: true }]);

/** Weights on the device. */
export class ParameterStore {
  readonly layout: ParameterLayout;
  readonly chunks: Chunk[];
  readonly #gpu: Gpu;
  readonly #mirrors = new Map<string, GPUTexture>();

  /** Allocates the store, zeroed; with `training` also gradients and moments of what is not frozen. */
  constructor(gpu: Gpu, specs: ParameterSpec[], options: { training: boolean }) {
    this.#gpu = gpu;
    this.layout = layoutParameters(specs, gpu);
    const planes: Plane[] = options.training ? ["value", "gradient", "exp_avg", "exp_avg_sq"] : ["value"];
    this.chunks = this.layout.chunks.map(({ decay, frozen, size }) => ({
      decay,
      frozen,
      size,
      planes: new Map(
        (frozen ? planes.slice(0, 1) : planes).map((plane) => [plane, this.#buffer(size, plane)]),
      ),
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
      throw new Error(
        `the parameter store holds no ${plane} of ${name}: it is frozen, or there is no training`,
      );
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

  /** The chunks that training changes. */
  get trained(): Chunk[] {
    return this.chunks.filter(({ frozen }) => !frozen);
  }

  /** Records the copies that bring the textures up to date with the weights that training changes, or with all. */
  encodeMirrors(encoder: GPUCommandEncoder, all = false): void {
    for (const [name, texture] of this.#mirrors) {
      const { offset, storage, mirror, spec } = this.slot(name);
      if (spec.frozen && !all) continue;
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
    this.encodeMirrors(encoder, true);
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** Frees all buffers and textures. */
  destroy(): void {
    for (const chunk of this.chunks) for (const buffer of chunk.planes.values()) buffer.destroy();
    for (const texture of this.#mirrors.values()) texture.destroy();
  }
}
