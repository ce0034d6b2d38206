/**
 * Compiling on a second core. llvmpipe compiles a kernel when it first runs, on the one thread of the device's queue, and
 * keeps the machine code on disk. So the later kernels of a step are run once on a device of their own, beside the
 * first step: when that gets to them, they are in the cache. Drivers of real GPUs compile at pipeline creation and need none
 * of this. Nothing depends on it: a kernel that is not in the cache is compiled as ever.
 */

import { type Gpu, openGpu } from "./device.ts";
import { type Bound, KernelCache, type KernelSource } from "./kernel.ts";
import { encodePass } from "./profile.ts";

/** A second device at work. */
export interface WarmUp {
  /** Ends it. Waits for what it has begun; call it when the first step is done. */
  end(): Promise<void>;
}

/**
 * Sets a second device to compiling the later half of the kernels, by length of their text. Does not wait for it.
 *
 * @returns undefined where it would not help
 */
export async function warmUp(gpu: Gpu, kernels: KernelCache): Promise<WarmUp | undefined> {
  if (gpu.profile === "gpu" || Deno.env.get("MESA_SHADER_CACHE_DISABLE") === "true") return undefined;
  const second = await openGpu({ operands: gpu.operands, profile: gpu.profile });
  const cache = new KernelCache(second);
  const dummies = new Dummies(second);
  const ready = laterHalf(kernels.sources).map(({ label, code, bound }) => {
    const likewise = bound.map((b) => dummies.like(b));
    return cache.prepare({ label, code, bound: likewise, workgroups: [1, 1, 1], flops: 0, bytes: 0 });
  });
  const encoder = second.device.createCommandEncoder();
  encodePass(encoder, ready);
  second.device.queue.submit([encoder.finish()]); // one submit: a second would wait for the first
  return {
    async end() {
      await second.device.queue.onSubmittedWorkDone();
      second.close();
    },
  };
}

/** The kernels whose text makes up the later half of all text, in their order. */
export function laterHalf<T extends Pick<KernelSource, "code">>(sources: T[]): T[] {
  const total = sources.reduce((sum, s) => sum + s.code.length, 0);
  let before = 0;
  return sources.filter((source) => {
    before += source.code.length;
    return before > total / 2;
  });
}

/** Small stand-ins for buffers and textures; what a kernel does beyond their ends is dropped. */
class Dummies {
  readonly #device: GPUDevice;

  constructor(gpu: Gpu) {
    this.#device = gpu.device;
  }

  like(bound: Bound): Bound {
    if (bound.kind === "texture-read" || bound.kind === "texture-write") {
      return { kind: bound.kind, resource: this.#texture(bound.resource) };
    }
    const usage = bound.kind === "uniform" ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE;
    return { kind: bound.kind, resource: { buffer: this.#device.createBuffer({ size: 256, usage }) } };
  }

  /** llvmpipe makes other code for sides that are powers of two. */
  #texture({ width, height, format }: GPUTexture): GPUTexture {
    const side = (length: number) => (length & (length - 1)) === 0 ? 1 : 3;
    return this.#device.createTexture({
      size: [side(width), side(height)],
      format,
      usage: GPUTextureUsage.STORAGE_BINDING,
    });
  }
}
