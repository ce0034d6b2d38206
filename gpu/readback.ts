/**
 * Bringing bytes home from the device.
 *
 * In Deno an awaited `mapAsync` waits for the device on the calling thread and then sleeps 10 ms more. `Readback` is a
 * staging buffer for small results that are wanted at once (a token's logits): Deno polls the map operation eagerly, so
 * the bytes are there when `mapAsync` returns, before its promise settles. That is unspecified, so it is tried on known
 * bytes first, and where it does not hold the promise is awaited like anywhere else.
 */

import type { Gpu } from "./device.ts";

const PIECE = 32 << 20;

/** Reads `size` bytes of a buffer, in pieces so that host memory stays small. Waits for the device. */
export async function readBuffer(
  gpu: Gpu,
  buffer: GPUBuffer,
  offset: number,
  size: number,
): Promise<ArrayBuffer> {
  const result = new Uint8Array(size);
  const staging = gpu.device.createBuffer({
    size: Math.min(PIECE, Math.max(4, size)),
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    for (let at = 0; at < size; at += PIECE) {
      const length = Math.min(PIECE, size - at);
      const encoder = gpu.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset + at, staging, 0, length);
      gpu.device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ, 0, length);
      result.set(new Uint8Array(staging.getMappedRange(0, length)), at);
      staging.unmap();
    }
  } finally {
    staging.destroy();
  }
  gpu.check();
  return result.buffer;
}

/** A staging buffer of fixed size that is read again and again. */
export class Readback {
  readonly size: number;
  readonly #gpu: Gpu;
  readonly #staging: GPUBuffer;
  #eager = false;

  private constructor(gpu: Gpu, size: number) {
    this.#gpu = gpu;
    this.size = size;
    this.#staging = gpu.device.createBuffer({
      size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
  }

  /** Makes the staging buffer and finds out whether it can be read without waiting for the event loop. */
  static async create(gpu: Gpu, size: number): Promise<Readback> {
    const readback = new Readback(gpu, size);
    await readback.#staging.mapAsync(GPUMapMode.READ); // a first awaited map: without it the eager path would panic
    readback.#staging.unmap();
    readback.#eager = "Deno" in globalThis && await readback.#eagerWorks();
    return readback;
  }

  async #eagerWorks(): Promise<boolean> {
    const pattern = new Uint32Array(this.size / 4).map((_, i) => (i * 2654435761 + 12345) >>> 0);
    const source = this.#gpu.device.createBuffer({
      size: this.size,
      usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    this.#gpu.device.queue.writeBuffer(source, 0, pattern);
    this.#copy(source, 0);
    const pending = this.#staging.mapAsync(GPUMapMode.READ);
    let same = false;
    try {
      const seen = new Uint32Array(this.#staging.getMappedRange());
      same = pattern.every((value, i) => seen[i] === value);
    } catch {
      same = false;
    }
    await pending;
    this.#staging.unmap();
    source.destroy();
    return same;
  }

  /** Whether reads do without the event loop. */
  get isEager(): boolean {
    return this.#eager;
  }

  #copy(source: GPUBuffer, offset: number): void {
    const encoder = this.#gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(source, offset, this.#staging, 0, this.size);
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** Copies `size` bytes of `source` home. The device has finished all earlier work when the promise settles. */
  async read(source: GPUBuffer, offset = 0): Promise<ArrayBuffer> {
    this.#copy(source, offset);
    const pending = this.#staging.mapAsync(GPUMapMode.READ);
    if (!this.#eager) await pending;
    const bytes = this.#staging.getMappedRange().slice(0);
    this.#staging.unmap();
    if (this.#eager) pending.catch(() => {});
    this.#gpu.check();
    return bytes;
  }

  /** Frees the staging buffer. */
  destroy(): void {
    this.#staging.destroy();
  }
}
