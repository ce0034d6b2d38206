/** Whether a device can hold matrices in half precision. Every WebGPU should; a driver that cannot is found before training. */

import { UserError } from "../common/mod.ts";
import type { Gpu } from "./device.ts";
import { textureFormat } from "./storage.ts";

/**
 * Checks that the formats of half precision are there, where operands are textures. Buffers need none.
 *
 * @throws UserError when they are not
 */
export async function checkHalfPrecision(
  { device, operands, adapter }: Pick<Gpu, "device" | "operands" | "adapter">,
): Promise<void> {
  if (operands === "buffer") return;
  device.pushErrorScope("validation");
  const format = textureFormat("f16");
  device.createTexture({ size: [1, 1], format, usage: GPUTextureUsage.STORAGE_BINDING }).destroy();
  device.createBindGroupLayout({
    entries: (["read-only", "write-only"] as const).map((access, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      storageTexture: { access, format },
    })),
  });
  const error = await device.popErrorScope();
  if (error === null) return;
  throw new UserError(`${adapter.name} has no textures in half precision`, {
    hint: "leave training.mixed_precision out",
    cause: error,
  });
}
