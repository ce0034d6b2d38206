/** Which package brings a Vulkan driver on which system: decisions only, nothing is run here. */

/** What a machine without an adapter is told. */
export interface DriverAdvice {
  /** Command lines that install a driver, in order; empty where none is known. */
  commands: string[];
  /** The same as one sentence for people. */
  hint: string;
}

/**
 * The fields of `/etc/os-release` (format: os-release(5)).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseOsRelease } from "./driver_packages.ts";
 * assert.equal(parseOsRelease('ID=debian\nNAME="Debian GNU/Linux"\n').NAME, "Debian GNU/Linux");
 * ```
 */
export function parseOsRelease(text: string): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const [, name, value] = /^([A-Z0-9_]+)=(.*)$/.exec(line.trim()) ?? [];
    if (name !== undefined && value !== undefined) fields[name] = value.replace(/^(["'])(.*)\1$/, "$2");
  }
  return fields;
}

/** Debian's packages: the Vulkan loader, and Mesa's drivers with llvmpipe among them. */
export const APT_PACKAGES = ["libvulkan1", "mesa-vulkan-drivers"];

/** Install commands by the `ID` or `ID_LIKE` of a distribution's os-release. */
const LINUX_COMMANDS: Record<string, string[]> = {
  debian: ["apt-get update", `apt-get install -y ${APT_PACKAGES.join(" ")}`],
  ubuntu: ["apt-get update", `apt-get install -y ${APT_PACKAGES.join(" ")}`],
  fedora: ["dnf install -y vulkan-loader mesa-vulkan-drivers"],
  rhel: ["dnf install -y vulkan-loader mesa-vulkan-drivers"],
  arch: ["pacman -S --needed vulkan-icd-loader vulkan-swrast"],
  alpine: ["apk add vulkan-loader mesa-vulkan-swrast"],
  suse: ["zypper install -y libvulkan1 libvulkan_lvp"],
};

/**
 * How to get a driver on this system.
 *
 * @param osRelease text of `/etc/os-release`, empty where there is none
 * @param isRoot whether commands go without `sudo`
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { driverAdvice } from "./driver_packages.ts";
 * assert.deepEqual(driverAdvice("linux", "ID=alpine", true).commands, ["apk add vulkan-loader mesa-vulkan-swrast"]);
 * ```
 */
export function driverAdvice(os: typeof Deno.build.os, osRelease: string, isRoot: boolean): DriverAdvice {
  if (os === "darwin") {
    return {
      commands: [],
      hint: "WebGPU uses Metal here: run on the Mac itself, some virtual machines hide its GPU",
    };
  }
  if (os === "windows") {
    return {
      commands: [],
      hint: "install the graphics card's current driver from its maker; it brings Direct3D 12 and Vulkan",
    };
  }
  const { ID = "", ID_LIKE = "" } = parseOsRelease(osRelease);
  for (const family of [ID, ...ID_LIKE.split(/\s+/)]) {
    const plain = LINUX_COMMANDS[family];
    if (plain === undefined) continue;
    const commands = isRoot ? plain : plain.map((command) => `sudo ${command}`);
    return { commands, hint: `install Mesa's software driver: ${commands.join(" && ")}` };
  }
  if (ID === "nixos") {
    return {
      commands: [],
      hint: "set hardware.graphics.enable = true; in the system's configuration and rebuild",
    };
  }
  return {
    commands: [],
    hint:
      "install the Vulkan loader (libvulkan.so.1) and a driver; Mesa's llvmpipe (lavapipe) runs on any CPU",
  };
}
