/**
 * Which version of its driver an adapter runs on, as far as that can be known without asking a program: WebGPU does not
 * tell. On Linux, NVIDIA's libraries carry it in their file's name, and Debian's list of packages has Mesa's.
 */

/** Where distributions keep the libraries of NVIDIA's driver. */
const LIBRARY_FOLDERS = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

/** What is looked at; tests put their own in its place. */
export interface DriverFiles {
  /** Where a link leads, or undefined if there is none. */
  link: (path: string) => string | undefined;
  /** A file's text, or undefined if there is none. */
  text: (path: string) => string | undefined;
}

const SYSTEM: DriverFiles = {
  link: (path) => attempt(() => Deno.readLinkSync(path)),
  text: (path) => attempt(() => Deno.readTextFileSync(path)),
};

/**
 * The version of the driver below an adapter, such as `NVIDIA 550.54.14` or `Mesa 22.3.6-1+deb12u2`; null where it cannot
 * be told.
 *
 * @param adapter the adapter's name
 */
export function driverVersion(adapter: string, files: DriverFiles = SYSTEM): string | null {
  if (/nvidia|geforce|quadro|tesla/i.test(adapter)) {
    for (const folder of LIBRARY_FOLDERS) {
      const version = /\.so\.(\d[\d.]+)$/.exec(files.link(`${folder}/libGLX_nvidia.so.0`) ?? "")?.[1];
      if (version !== undefined) return `NVIDIA ${version}`;
    }
    return null;
  }
  const installed = files.text("/var/lib/dpkg/status")?.split("\n\n") ?? [];
  const mesa = installed.find((entry) => entry.startsWith("Package: mesa-vulkan-drivers\n"));
  const version = /^Version: (.+)$/m.exec(mesa ?? "")?.[1];
  return version === undefined ? null : `Mesa ${version}`;
}

function attempt(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
