/**
 * The environment that the GPU drivers read. It must stand before the first `requestAdapter` of a process (or of
 * a worker, which loads the driver anew), and variables that the user has set are left alone. Only Linux needs any:
 *
 * - `DENO_WEBGPU_BACKEND=vulkan`: wgpu falls back to OpenGL otherwise, which cannot run our kernels.
 * - `LP_NATIVE_VECTOR_WIDTH=512` on a CPU with AVX-512: Mesa's llvmpipe uses 256 bits by itself and is slower.
 * - `MESA_SHADER_CACHE_DIR`, one for each width: Mesa's disk cache ignores the width and would serve code of the wrong one.
 * - `XDG_RUNTIME_DIR`: without it Mesa's window-system code complains on stderr, though nothing is drawn.
 */

import * as path from "path";

/** What the decision depends on. */
export interface EnvironmentFacts {
  os: typeof Deno.build.os;
  /** The variables that are set already. */
  env: Record<string, string | undefined>;
  hasAvx512: boolean;
}

/** The decision. */
export interface AdapterEnvironment {
  /** Variables to set. */
  set: Record<string, string>;
  /** Folders that would do as Mesa's shader cache, best first; undefined where the cache needs no change. */
  shaderCaches: string[] | undefined;
}

/**
 * Which variables to set; touches nothing.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { adapterEnvironment } from "./adapter_environment.ts";
 * const { set } = adapterEnvironment({ os: "linux", env: { HOME: "/home/ada" }, hasAvx512: false });
 * assert.equal(set.DENO_WEBGPU_BACKEND, "vulkan");
 * ```
 */
export function adapterEnvironment({ os, env, hasAvx512 }: EnvironmentFacts): AdapterEnvironment {
  if (os !== "linux") return { set: {}, shaderCaches: undefined };
  const set: Record<string, string> = {};
  if (!env.DENO_WEBGPU_BACKEND) set.DENO_WEBGPU_BACKEND = "vulkan";
  if (!env.XDG_RUNTIME_DIR) set.XDG_RUNTIME_DIR = env.TMPDIR || "/tmp";
  if (!env.LP_NATIVE_VECTOR_WIDTH && hasAvx512) set.LP_NATIVE_VECTOR_WIDTH = "512";
  const width = env.LP_NATIVE_VECTOR_WIDTH || set.LP_NATIVE_VECTOR_WIDTH;
  if (width === undefined || env.MESA_SHADER_CACHE_DIR || env.MESA_SHADER_CACHE_DISABLE) {
    return { set, shaderCaches: undefined };
  }
  const caches: string[] = [];
  if (env.XDG_CACHE_HOME) caches.push(env.XDG_CACHE_HOME);
  if (env.HOME) caches.push(path.join(env.HOME, ".cache"));
  return { set, shaderCaches: caches.map((cache) => path.join(cache, "chatgot", `mesa-${width}`)) };
}

/**
 * Sets the variables for this process; calling it again changes nothing. On Linux it wants
 * `--allow-env`, `--allow-run` for `grep` and `--allow-write` for `~/.cache/chatgot`: it does the best that is left
 * without them.
 */
export function setAdapterEnvironment(): void {
  let env: Record<string, string>;
  try {
    env = Deno.env.toObject();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return;
    throw error;
  }
  const hasAvx512 = Deno.build.os === "linux" && !env.LP_NATIVE_VECTOR_WIDTH && cpuHasAvx512();
  const { set, shaderCaches } = adapterEnvironment({ os: Deno.build.os, env, hasAvx512 });
  for (const [name, value] of Object.entries(set)) Deno.env.set(name, value);
  if (shaderCaches === undefined) return;
  const folder = shaderCaches.find(canMakeFolder);
  // No cache costs seconds at each start, a cache shared between widths costs speed in every step.
  if (folder === undefined) Deno.env.set("MESA_SHADER_CACHE_DISABLE", "true");
  else Deno.env.set("MESA_SHADER_CACHE_DIR", folder);
}

/** Whether the CPU lists AVX-512. By `grep`, since Deno opens files of `/proc` only to programs that may do everything. */
function cpuHasAvx512(): boolean {
  if (Deno.build.arch !== "x86_64") return false;
  try {
    return new Deno.Command("grep", {
      args: ["-m1", "-o", "avx512f", "/proc/cpuinfo"],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch {
    return false; // no grep, or not allowed to run it: llvmpipe's own choice of width works too
  }
}

/** Mesa makes only the last folder of the path, so all of it is made here. */
function canMakeFolder(folder: string): boolean {
  try {
    Deno.mkdirSync(folder, { recursive: true });
    return true;
  } catch {
    return false;
  }
}
