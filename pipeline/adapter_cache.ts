/**
 * What was measured on this adapter and is kept from one start to the next: JSON files in `<runs_dir>/.cache/`, keyed by all
 * that such numbers depend on. They may be deleted at any time; what is not there, or not whole, is measured again.
 */

import { cpus } from "os";
import { join } from "path";
import { UserError, userPath, VERSION, writeFileAtomic } from "../common/mod.ts";
import { driverVersion, type Gpu } from "../gpu/mod.ts";

/** What the adapter is, as far as it matters for speed. */
export type MeasuredAdapter = Pick<Gpu, "adapter" | "profile" | "operands">;

/** Path of a file of measurements. */
export function cacheFile(runsDir: string, name: string): string {
  return join(userPath(runsDir), ".cache", name);
}

/** Writes a file of measurements, where that can be: what cannot be kept is measured again. */
export async function writeCache(file: string, content: unknown): Promise<void> {
  try {
    await writeFileAtomic(file, JSON.stringify(content, null, 2) + "\n");
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
}

/** All that a measurement depends on: the adapter and its driver, for a software one the processor, how the engine was opened, and what computes. */
export function adapterKey({ adapter, profile, operands }: MeasuredAdapter): string {
  const host = profile === "gpu" ? [] : processor();
  const driver = driverVersion(adapter.name) ?? "";
  const parts = [adapter.name, adapter.vendor, adapter.architecture, driver, ...host, profile, operands];
  return [...parts, `Deno ${Deno.version.deno}`, `ChatGoT ${VERSION}`].filter((part) => part !== "").join(
    ", ",
  );
}

/** Kind and number of the machine's cores, where they may be asked (`--allow-sys=cpus`). */
function processor(): string[] {
  try {
    const cores = cpus();
    return [`${cores.length} × ${cores[0]?.model}`];
  } catch {
    return [];
  }
}
