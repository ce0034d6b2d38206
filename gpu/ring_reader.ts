/**
 * Reading small buffers home while the device goes on: the copy is part of a submit, the map is asked for at once and
 * its promise awaited later, after more work was submitted. Two staging buffers take turns.
 */

import type { Gpu } from "./device.ts";

/** Brings a fixed set of buffers home without stopping the device. */
export class RingReader {
  readonly #gpu: Gpu;
  readonly #sources: GPUBuffer[];
  readonly #staging: { buffer: GPUBuffer; busy: Promise<void> | undefined }[] = [];
  #turn = 0;

  /** @param sources buffers that are read whole, each with COPY_SRC usage */
  constructor(gpu: Gpu, sources: GPUBuffer[]) {
    this.#gpu = gpu;
    this.#sources = sources;
    const size = sources.reduce((sum, s) => sum + s.size, 0);
    for (let i = 0; i < 2; i++) {
      const buffer = gpu.device.createBuffer({
        size,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
      this.#staging.push({ buffer, busy: undefined });
    }
  }

  /**
   * Asks for the sources as they stand after all work submitted so far (where two reads are under way, after that of the
   * first of them). In Deno the call blocks until the device has done that work; the promise settles 10 ms later, so
   * submit more work before awaiting it.
   *
   * @returns one array per source
   */
  async read(): Promise<Float32Array<ArrayBuffer>[]> {
    const place = this.#staging[this.#turn++ % 2]!;
    const before = place.busy;
    let release = () => {};
    const mine = new Promise<void>((resolve) => release = resolve);
    place.busy = mine;
    try {
      if (before !== undefined) await before; // else the copy is submitted before this call returns
      const encoder = this.#gpu.device.createCommandEncoder();
      let at = 0;
      for (const source of this.#sources) {
        encoder.copyBufferToBuffer(source, 0, place.buffer, at, source.size);
        at += source.size;
      }
      this.#gpu.device.queue.submit([encoder.finish()]);
      await place.buffer.mapAsync(GPUMapMode.READ);
      at = 0;
      const arrays = this.#sources.map((source) => {
        const bytes = place.buffer.getMappedRange(at, source.size).slice(0);
        at += source.size;
        return new Float32Array(bytes);
      });
      place.buffer.unmap();
      this.#gpu.check();
      return arrays;
    } finally {
      if (place.busy === mine) place.busy = undefined;
      release();
    }
  }

  /** Frees the staging buffers. */
  destroy(): void {
    for (const { buffer } of this.#staging) buffer.destroy();
  }
}
