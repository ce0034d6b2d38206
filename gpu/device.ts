/**
 * Opening a WebGPU device: adapter, limits, optional features, how its errors and its loss are reported, and the few
 * facts of the adapter that kernels are chosen by. Finding or installing a driver is the business of `adapter_setup.ts`.
 */

import { UserError } from "../common/mod.ts";
import { setAdapterEnvironment } from "./adapter_environment.ts";
import { vectorLanes } from "./kernels/lanes.ts";
import type { Choices } from "./tuning/choices.ts";
import { type GpuVendor, gpuVendor } from "./vendor.ts";

/** Where matrix operands stand while kernels read them. */
export type OperandStorage = "texture" | "buffer";

/** The family whose measured defaults a kernel uses. */
export type KernelProfile = "llvmpipe512" | "llvmpipe256" | "gpu";

/** Options of `openGpu`. */
export interface GpuOptions {
  /** Where operands live; by default `texture` on llvmpipe and `buffer` elsewhere. */
  operands?: OperandStorage;
  /** Pretend that a storage binding may hold at most this many bytes (for tests of the sliced paths). */
  maxBindingBytes?: number;
  /** Pretend that a texture's side may be at most this many texels (for tests of folded textures). */
  maxTextureSide?: number;
  /** Kernel family; by default what fits the adapter. */
  profile?: KernelProfile;
}

/** What identifies the adapter in runs and caches. */
export interface AdapterIdentity {
  /** Human-readable name, such as `llvmpipe (LLVM 15.0.6, 512 bits)`. */
  name: string;
  vendor: string;
  architecture: string;
  /** Features that were granted. */
  features: string[];
}

/** An open device with what the engine needs to know of it. */
export interface Gpu {
  readonly device: GPUDevice;
  readonly adapter: AdapterIdentity;
  readonly operands: OperandStorage;
  readonly profile: KernelProfile;
  /** Largest storage binding in bytes. */
  readonly maxBindingBytes: number;
  /** Largest buffer in bytes. */
  readonly maxBufferBytes: number;
  /** Largest side of a 2-D texture in texels. */
  readonly maxTextureSide: number;
  readonly maxStorageTextures: number;
  readonly maxStorageBuffers: number;
  /** Whether subgroup operations were granted and a subgroup is as wide as a vector of llvmpipe (or, on a GPU, of any width). */
  readonly hasSubgroups: boolean;
  readonly hasTimestamps: boolean;
  /** Who made the GPU, for default tiles. @default other */
  readonly vendor?: GpuVendor | undefined;
  /** Tiles for kernels of programs that are planned for it, instead of their defaults. @default none */
  readonly choices?: Choices | undefined;
  /** Throws the first error that the device has reported since it was opened. */
  check(): void;
  /** Frees the device and all that it holds. */
  close(): void;
}

const WANTED_FEATURES = ["timestamp-query", "shader-f16"];
const HELPFUL_LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxStorageBuffersPerShaderStage",
  "maxStorageTexturesPerShaderStage",
  "maxTextureDimension2D",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
] as const;

/**
 * Opens the machine's preferred adapter with all the limits that help.
 *
 * @throws UserError when there is no adapter.
 */
export async function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  setAdapterEnvironment();
  const gpu = (navigator as { gpu?: GPU }).gpu;
  const found = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!found) {
    throw new UserError("no WebGPU adapter was found", {
      hint:
        "install a GPU driver with Vulkan, Metal or Direct3D 12, or Mesa's software driver; `chatgot doctor` tells more",
    });
  }
  const { device, features } = await requestDevice(found);
  const info = found.info;
  const name = info.description || info.device || "unknown adapter";
  const isLlvmpipe = /llvmpipe/i.test(name);
  const profile = options.profile ??
    (!isLlvmpipe ? "gpu" : /512 bits/.test(name) ? "llvmpipe512" : "llvmpipe256");
  const firstError = watch(device);
  const maxBinding = Math.floor(device.limits.maxStorageBufferBindingSize / 256) * 256;
  let closed = false;
  return {
    device,
    adapter: { name, vendor: info.vendor, architecture: info.architecture, features },
    operands: options.operands ?? (isLlvmpipe ? "texture" : "buffer"),
    profile,
    maxBindingBytes: Math.min(maxBinding, options.maxBindingBytes ?? maxBinding),
    maxBufferBytes: device.limits.maxBufferSize,
    maxTextureSide: Math.min(device.limits.maxTextureDimension2D, options.maxTextureSide ?? Infinity),
    maxStorageTextures: device.limits.maxStorageTexturesPerShaderStage,
    maxStorageBuffers: device.limits.maxStorageBuffersPerShaderStage,
    hasSubgroups: features.includes("subgroups") && (profile === "gpu" || isSubgroupWidth(info, profile)),
    vendor: gpuVendor({ name, vendor: info.vendor }),
    hasTimestamps: features.includes("timestamp-query"),
    check() {
      const error = firstError();
      if (error !== undefined && !closed) throw error;
    },
    close() {
      closed = true;
      device.destroy();
    },
  };
}

/** Whether every subgroup of a llvmpipe adapter is one vector. */
function isSubgroupWidth(info: GPUAdapterInfo, profile: Exclude<KernelProfile, "gpu">): boolean {
  const width = vectorLanes(profile);
  return info.subgroupMinSize === width && info.subgroupMaxSize === width;
}

/** `subgroups` is granted by wgpu though Deno does not list it, so it is asked for first and done without if refused. */
async function requestDevice(adapter: GPUAdapter): Promise<{ device: GPUDevice; features: string[] }> {
  const requiredLimits: Record<string, number> = {};
  for (const limit of HELPFUL_LIMITS) requiredLimits[limit] = adapter.limits[limit];
  const listed = WANTED_FEATURES.filter((f) => adapter.features.has(f as GPUFeatureName));
  let lastError: unknown;
  for (const features of [[...listed, "subgroups"], listed, []]) {
    try {
      const device = await adapter.requestDevice({
        requiredFeatures: features as GPUFeatureName[],
        requiredLimits,
      });
      return { device, features };
    } catch (error) {
      lastError = error;
    }
  }
  throw new UserError(`the adapter ${adapter.info.description} refused to open a device`, {
    hint: "another program may hold it, or its driver may need an update",
    cause: lastError,
  });
}

/** Collects the first uncaptured error or the loss of the device. */
function watch(device: GPUDevice): () => Error | undefined {
  let first: Error | undefined;
  device.addEventListener("uncapturederror", (event) => {
    const { error } = event as GPUUncapturedErrorEvent;
    event.preventDefault();
    first ??= error instanceof GPUOutOfMemoryError
      ? new UserError("the device ran out of memory", {
        hint:
          "lower training.batch_size or training.max_seq_length; `chatgot plan` shows what takes how much",
      })
      : new Error(`WebGPU: ${error.message}`);
  });
  device.lost.then((info) => {
    if (info.reason === "destroyed") return;
    first ??= new UserError(`the GPU device was lost: ${info.message || "no reason given"}`, {
      hint: "go on from the last checkpoint with --resume auto",
    });
  });
  return () => first;
}
