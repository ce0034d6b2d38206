/** The driver's version, from files as systems have them. */

import assert from "assert";
import { type DriverFiles, driverVersion } from "../../gpu/driver_version.ts";

const files = (links: Record<string, string>, texts: Record<string, string> = {}): DriverFiles => ({
  link: (path) => links[path],
  text: (path) => texts[path],
});

Deno.test("driverVersion() reads NVIDIA's from its library's link and Mesa's from the list of packages", () => {
  const nvidia = files({ "/usr/lib64/libGLX_nvidia.so.0": "libGLX_nvidia.so.550.54.14" });
  assert.equal(driverVersion("NVIDIA H100 80GB HBM3", nvidia), "NVIDIA 550.54.14");
  const debian = files({}, {
    "/var/lib/dpkg/status":
      "Package: mesa-utils\nVersion: 8.5.0-1\n\nPackage: mesa-vulkan-drivers\nArchitecture: amd64\nVersion: 22.3.6-1+deb12u2\n",
  });
  assert.equal(driverVersion("llvmpipe (LLVM 15.0.6, 512 bits)", debian), "Mesa 22.3.6-1+deb12u2");
  assert.equal(driverVersion("NVIDIA H100 80GB HBM3", debian), null);
  assert.equal(driverVersion("Apple M3", files({})), null);
});
