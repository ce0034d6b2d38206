/** Who made a GPU, as far as default tiles differ by it. */

/** A maker of GPUs, or any other. */
export type GpuVendor = "nvidia" | "amd" | "intel" | "apple" | "other";

/** What of an adapter's description names its maker: a word, or its number at PCI-SIG, which wgpu gives in decimal. */
const NAMES: [GpuVendor, RegExp][] = [
  ["nvidia", /nvidia|geforce|quadro|tesla|^4318$|^0x10de$/i],
  ["amd", /\bamd\b|radeon|^4098$|^0x1002$/i],
  ["intel", /intel|^32902$|^0x8086$/i],
  ["apple", /apple|^4203$|^0x106b$/i],
];

/**
 * The maker of an adapter.
 *
 * @example
 * ```ts
 * import { gpuVendor } from "./vendor.ts";
 * gpuVendor({ name: "AMD Radeon RX 6600 (RADV NAVI23)", vendor: "4098" }); // "amd"
 * ```
 */
export function gpuVendor({ name, vendor }: { name: string; vendor: string }): GpuVendor {
  const of = (text: string) => NAMES.find(([, pattern]) => pattern.test(text))?.[0];
  return /llvmpipe|swiftshader/i.test(name) ? "other" : of(vendor) ?? of(name) ?? "other";
}
