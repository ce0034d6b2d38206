/**
 * The setup step before the engine: sees to it that there is a WebGPU adapter. On Linux without one it installs Mesa's
 * software Vulkan driver where it may (apt, as root or by a `sudo` that asks for no password), and otherwise says what
 * to type. Left out: choosing between several adapters, and drivers for a particular GPU.
 */

import { UserError } from "../common/mod.ts";
import { setAdapterEnvironment } from "./adapter_environment.ts";
import { APT_PACKAGES, driverAdvice } from "./driver_packages.ts";

/** Options of `ensureAdapter`. */
export interface AdapterSetupOptions {
  /** Gets each line of what is being done; by default they go to stderr. */
  log?: (line: string) => void;
}

/**
 * Makes sure that the next `requestAdapter` of this process finds an adapter; call it before the first one, since Deno
 * keeps the drivers that it saw then. Costs about 0.1 s where all is well.
 *
 * @returns the adapter's name, such as `llvmpipe (LLVM 15.0.6, 512 bits)`
 * @throws UserError with the command for this system if there is none and none may be installed
 *
 * @example
 * ```ts ignore
 * import { ensureAdapter } from "./adapter_setup.ts";
 * console.log(await ensureAdapter());
 * ```
 */
export async function ensureAdapter(options: AdapterSetupOptions = {}): Promise<string> {
  const log = options.log ?? ((line: string) => console.error(line));
  setAdapterEnvironment();
  const found = await probeAdapter();
  if (found !== null) return found;

  const isRoot = runsAsRoot();
  const advice = driverAdvice(Deno.build.os, await osRelease(), isRoot);
  const backend = Deno.env.get("DENO_WEBGPU_BACKEND");
  if (Deno.build.os === "linux" && backend !== "vulkan") {
    throw new UserError(`no WebGPU adapter was found for DENO_WEBGPU_BACKEND=${backend}`, {
      hint: "unset that variable to use Vulkan",
    });
  }
  const apt = advice.commands.some((command) => command.includes("apt-get"))
    ? await aptGet(isRoot)
    : undefined;
  if (apt === undefined) throw new UserError("no WebGPU adapter was found", { hint: advice.hint });

  log(`No Vulkan driver was found. Installing Mesa's software driver (${APT_PACKAGES.join(", ")}) ...`);
  const install = ["-q", "-y", "--no-install-recommends", "install", ...APT_PACKAGES];
  // A machine that never fetched package lists does not know the packages; one whose lists are old asks for versions
  // that are gone.
  const update = () => apt(["-q", "update"], log);
  const known = await apt(["--simulate", ...install], () => {}) || await update();
  const installed = known && (await apt(install, log) || (await update() && await apt(install, log)));
  if (!installed) {
    throw new UserError("the software Vulkan driver could not be installed; apt-get says why above", {
      hint: advice.hint,
    });
  }
  const now = await probeAdapter();
  if (now === null) {
    throw new UserError("no WebGPU adapter was found, though Mesa's Vulkan driver is installed", {
      hint:
        "see what `vulkaninfo --summary` (package vulkan-tools) says, and unset VK_ICD_FILENAMES and VK_DRIVER_FILES",
    });
  }
  log(`Installed: ${now}`);
  return now;
}

/** The name of the adapter that a new WebGPU instance finds, or null. Leaves this thread's own instance unmade. */
export async function probeAdapter(): Promise<string | null> {
  const worker = new Worker(new URL("./adapter_probe.ts", import.meta.url), { type: "module" });
  try {
    return await new Promise<string | null>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<string | null>) => resolve(event.data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`the adapter probe failed: ${event.message}`));
      };
    });
  } finally {
    worker.terminate();
  }
}

/** Runs apt-get and tells whether it succeeded. */
type AptGet = (args: string[], log: (line: string) => void) => Promise<boolean>;

/** apt-get as this user may run it, or undefined. */
async function aptGet(isRoot: boolean): Promise<AptGet | undefined> {
  // `sudo -n` fails at once where it would have to ask for a password.
  const command = isRoot ? ["apt-get"] : ["sudo", "-n", "apt-get"];
  if (!await run([...command, "--version"], () => {})) return undefined;
  return (args, log) => run([...command, "-o", "DPkg::Lock::Timeout=120", ...args], log);
}

/** Runs a command, hands its lines of output to `log` as they come, and tells whether it ran and succeeded. */
async function run([program, ...args]: string[], log: (line: string) => void): Promise<boolean> {
  try {
    const child = new Deno.Command(program!, {
      args,
      env: { DEBIAN_FRONTEND: "noninteractive" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await Promise.all([eachLine(child.stdout, log), eachLine(child.stderr, log)]);
    return (await child.status).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) return false;
    throw error;
  }
}

async function eachLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  log: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(log);
  }
  if (rest !== "") log(rest);
}

/** Whether this process is root; false where that may not be asked (`--allow-sys=uid`). */
function runsAsRoot(): boolean {
  try {
    return Deno.uid() === 0;
  } catch {
    return false;
  }
}

async function osRelease(): Promise<string> {
  try {
    return await Deno.readTextFile("/etc/os-release");
  } catch {
    return "";
  }
}
