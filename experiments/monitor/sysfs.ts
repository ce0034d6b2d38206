/**
 * What Linux's drivers tell in files of `/sys`: temperature and power of the processor, and all of AMD's cards. Deno opens
 * such files only to programs that may do everything, so `grep` reads them, which the adapter's search may run anyway.
 * Forms: kernel documentation `hwmon/sysfs-interface`, `power/powercap`, `gpu/amdgpu/driver-misc`; temperatures are in
 * thousandths of a degree, power and energy in millionths of a watt and a joule.
 */

import { Program } from "./program.ts";
import { known, type Reading, type Source } from "./reading.ts";

/** Sensors of a processor, by the name of their driver. */
const PROCESSOR_SENSORS = ["coretemp", "k10temp", "zenpower", "cpu_thermal"];

/** AMD's number among makers of PCI devices. */
const AMD = "0x1002";

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Every file that might tell something; `grep` needs whole names, since Deno may not list the folders. */
const CANDIDATES = [
  ...numbers(16).flatMap((i) => ["name", "temp1_input"].map((file) => `/sys/class/hwmon/hwmon${i}/${file}`)),
  ...numbers(16).flatMap((i) =>
    ["type", "temp"].map((file) => `/sys/class/thermal/thermal_zone${i}/${file}`)
  ),
  ...numbers(4).flatMap((i) =>
    ["name", "energy_uj", "max_energy_range_uj"].map((file) => `/sys/class/powercap/intel-rapl:${i}/${file}`)
  ),
  ...numbers(4).flatMap((i) => [
    ...["vendor", "gpu_busy_percent", "mem_info_vram_used", "mem_info_vram_total"].map((file) =>
      `/sys/class/drm/card${i}/device/${file}`
    ),
    ...numbers(16).flatMap((h) =>
      ["temp1_input", "power1_average", "power1_input"].map((file) =>
        `/sys/class/drm/card${i}/device/hwmon/hwmon${h}/${file}`
      )
    ),
  ]),
];

/** A source for a run on an adapter of this name; undefined where there is no `/sys`. */
export function sysfsSource(adapter: string): Source | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const program = new Program("/usr/bin/grep", "/bin/grep");
  const packages = new PackagePower();
  let files = CANDIDATES;
  return async () => {
    if (files.length === 0) return {};
    // "" finds every line; -s says nothing of files that are not there.
    const answer = await program.ask(["-sH", "", ...files]);
    if (answer === undefined) return {};
    const found = parseGrep(answer);
    files = files.filter((file) => found.has(file));
    return {
      ...processorTemperature(found),
      ...packages.power(found, performance.now() / 1000),
      ...(/amd|radeon/i.test(adapter) ? amdCard(found) : {}),
    };
  };
}

/** First lines of files, by path, of what `grep -H ""` prints. */
export function parseGrep(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, path, value] = /^(\/sys\/.*?\/[a-z0-9_]+):(.*)$/.exec(line) ?? [];
    if (path !== undefined && !found.has(path)) found.set(path, value!.trim());
  }
  return found;
}

/** The hottest processor's temperature: of its own sensor, else of its thermal zone. */
export function processorTemperature(found: Map<string, string>): Reading {
  const sensors: number[] = [];
  const zones: number[] = [];
  for (const [path, value] of found) {
    if (path.endsWith("/name") && PROCESSOR_SENSORS.includes(value)) {
      sensors.push(number(found, path.replace(/name$/, "temp1_input")) ?? NaN);
    }
    if (path.endsWith("/type") && /^(x86_pkg_temp|cpu)/i.test(value)) {
      zones.push(number(found, path.replace(/type$/, "temp")) ?? NaN);
    }
  }
  const told = [sensors, zones].map((list) => list.filter((t) => t > 0)).find((list) => list.length > 0);
  return told === undefined ? {} : { cpu_temperature_celsius: Math.max(...told) / 1000 };
}

/** Power of all processor packages, from how far their energy counters have moved. Only root may read those. */
export class PackagePower {
  #before: { seconds: number; counters: Map<string, number> } | undefined;

  /** @param seconds when the counters were read, on any clock */
  power(found: Map<string, string>, seconds: number): Reading {
    const counters = new Map<string, number>();
    for (const [path, name] of found) {
      if (!path.endsWith("/name") || !name.startsWith("package-")) continue; // other zones are parts of it, or more
      const value = number(found, path.replace(/name$/, "energy_uj"));
      if (value !== undefined) counters.set(path, value);
    }
    const before = this.#before;
    this.#before = { seconds, counters };
    if (before === undefined || seconds <= before.seconds) return {};
    let microjoules = 0;
    for (const [path, value] of counters) {
      const last = before.counters.get(path);
      if (last === undefined) return {};
      const range = number(found, path.replace(/name$/, "max_energy_range_uj")) ?? 0;
      microjoules += value >= last ? value - last : value + range - last; // the counter starts again at its range
    }
    const watts = microjoules / 1e6 / (seconds - before.seconds);
    return watts > 0 ? { cpu_power_watts: watts } : {};
  }
}

/** AMD's card with the most memory, which is what the adapter's search prefers too. */
export function amdCard(found: Map<string, string>): Reading {
  const cards = [...found].filter(([path, value]) => path.endsWith("/device/vendor") && value === AMD)
    .map(([path]) => path.slice(0, -"vendor".length))
    .sort((a, b) =>
      (number(found, `${b}mem_info_vram_total`) ?? 0) - (number(found, `${a}mem_info_vram_total`) ?? 0)
    );
  const [card] = cards;
  if (card === undefined) return {};
  const sensor = (file: string) => {
    const path = [...found.keys()].find((p) => p.startsWith(`${card}hwmon/`) && p.endsWith(`/${file}`));
    return path === undefined ? undefined : number(found, path);
  };
  const power = sensor("power1_average") ?? sensor("power1_input");
  const temperature = sensor("temp1_input");
  return known({
    gpu_utilization_percent: number(found, `${card}gpu_busy_percent`),
    gpu_memory_used_bytes: number(found, `${card}mem_info_vram_used`),
    gpu_memory_total_bytes: number(found, `${card}mem_info_vram_total`),
    gpu_power_watts: power && power / 1e6,
    gpu_temperature_celsius: temperature && temperature / 1000,
  });
}

function number(found: Map<string, string>, path: string): number | undefined {
  const text = found.get(path);
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}
