/** The monitor: what the host tells against /proc, recorded answers of nvidia-smi and of Linux's drivers, its pace, its sums. */

import assert from "assert";
import { join } from "path";
import { hostSource } from "../../experiments/monitor/host.ts";
import {
  machineSources,
  Monitor,
  type MonitorOptions,
  pauseAfter,
} from "../../experiments/monitor/monitor.ts";
import { NVIDIA_QUERY, nvidiaSource, parseNvidiaSmi } from "../../experiments/monitor/nvidia.ts";
import { Program } from "../../experiments/monitor/program.ts";
import type { Reading } from "../../experiments/monitor/reading.ts";
import { amdCard, PackagePower, parseGrep, processorTemperature } from "../../experiments/monitor/sysfs.ts";
import type { SystemLine } from "../../experiments/monitor/totals.ts";

const onLinux = { ignore: Deno.build.os !== "linux" };

/** `a` is `b` but for what moves between two looks. */
function near(a: number | undefined, b: number, part: number) {
  assert.ok(a !== undefined && Math.abs(a - b) <= part * b, `${a} is not near ${b}`);
}

/** A number of kB in a file of /proc, as bytes. */
async function proc(file: string, key: string): Promise<number> {
  const text = await Deno.readTextFile(`/proc/${file}`);
  return 1024 * Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)![1]);
}

/** Busy and whole time of the machine's cores, in ticks, of the first line of /proc/stat. */
async function stat(): Promise<{ busy: number; all: number }> {
  const line = (await Deno.readTextFile("/proc/stat")).split("\n")[0]!.trim().split(/\s+/).slice(1).map(
    Number,
  );
  const [user, nice, system, idle, _iowait, irq] = line as [number, number, number, number, number, number];
  return { busy: user + nice + system + irq, all: user + nice + system + irq + idle };
}

Deno.test({
  name: "the host's memory, disk and processor time are those of /proc and df",
  ...onLinux,
  async fn() {
    const dir = await Deno.makeTempDir();
    const read = hostSource(dir);
    const first = await read() as Reading;
    assert.equal(first.cpu_percent, undefined); // there is no time before the first look
    near(first.process_rss_bytes, await proc("self/status", "VmRSS"), 0.1);
    assert.equal(first.memory_total_bytes, await proc("meminfo", "MemTotal"));
    near(first.memory_available_bytes, await proc("meminfo", "MemAvailable"), 0.2);

    const { stdout } = await new Deno.Command("df", { args: ["-B1", "--output=size,avail", dir] }).output();
    const [size, available] = new TextDecoder().decode(stdout).split("\n")[1]!.trim().split(/\s+/).map(
      Number,
    );
    near(first.disk_total_bytes, size!, 0);
    near(first.disk_available_bytes, available!, 0.05);

    await read();
    const before = await stat();
    for (const until = performance.now() + 300; performance.now() < until;);
    const after = await stat();
    const second = await read() as Reading;
    const percent = 100 * (after.busy - before.busy) / (after.all - before.all);
    assert.ok(Math.abs(second.cpu_percent! - percent) < 15, `${second.cpu_percent} against ${percent}`);
    assert.ok(second.process_cpu_percent! > 0);
    await Deno.remove(dir);
  },
});

Deno.test("what may not be asked is absent, and the rest is there", async () => {
  const script = `
    import { machineSources } from "${import.meta.resolve("../../experiments/monitor/monitor.ts")}";
    const readings = [];
    for (const source of machineSources("NVIDIA H100 80GB HBM3", ".")) readings.push(await source());
    console.log(JSON.stringify(Object.assign({}, ...readings)));`;
  const dir = await Deno.makeTempDir();
  await Deno.writeTextFile(join(dir, "look.ts"), script);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check"],
      ...["--config", join(import.meta.dirname!, "../../deno.json"), join(dir, "look.ts")],
    ],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.notEqual(text, "", new TextDecoder().decode(stderr));
  assert.deepEqual(Object.keys(JSON.parse(text)).sort(), [
    "process_cpu_percent",
    "process_heap_bytes",
    "process_rss_bytes",
  ]);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("nvidia-smi: the adapter's card, in bytes, watts and degrees; a measured 0 is a 0", () => {
  const csv =
    "NVIDIA GeForce GT 710, 3, 100, 2048, 10.00, 40\nNVIDIA H100 80GB HBM3, 0, 1024, 81559, 69.45, 31\n";
  assert.deepEqual(parseNvidiaSmi(csv, "NVIDIA H100 80GB HBM3"), {
    gpu_utilization_percent: 0,
    gpu_memory_used_bytes: 2 ** 30,
    gpu_memory_total_bytes: 81559 * 2 ** 20,
    gpu_power_watts: 69.45,
    gpu_temperature_celsius: 31,
  });
});

Deno.test("nvidia-smi: what a card does not tell is absent", () => {
  const adapter = "NVIDIA GeForce GT 710";
  const csv = `${adapter}, [N/A], 100, 2048, [Not Supported], [Unknown Error]\n`;
  assert.deepEqual(parseNvidiaSmi(csv, adapter), {
    gpu_memory_used_bytes: 100 * 2 ** 20,
    gpu_memory_total_bytes: 2 ** 31,
  });
  // One card whose driver calls it otherwise than the adapter does; and two of which nobody knows which it is.
  assert.equal(parseNvidiaSmi(csv, "NVIDIA Tegra").gpu_memory_total_bytes, 2 ** 31);
  assert.deepEqual(parseNvidiaSmi(csv + csv, adapter), {});
  assert.deepEqual(parseNvidiaSmi("No devices were found\n", adapter), {});
  assert.deepEqual(parseNvidiaSmi("", adapter), {});
});

Deno.test({
  name: "nvidia-smi is asked for exactly those fields, and only where the adapter is NVIDIA's",
  ...onLinux,
  async fn() {
    const dir = await Deno.makeTempDir();
    const program = join(dir, "nvidia-smi");
    await Deno.writeTextFile(
      program,
      `#!/bin/sh\necho "$@" >${dir}/asked\necho "NVIDIA A, 50, 1, 2, 3.5, 60"\n`,
    );
    await Deno.chmod(program, 0o755);
    const source = nvidiaSource("NVIDIA A", [join(dir, "missing"), program])!;
    assert.equal((await source()).gpu_power_watts, 3.5);
    assert.equal((await Deno.readTextFile(join(dir, "asked"))).trim(), NVIDIA_QUERY.join(" "));
    assert.equal(nvidiaSource("llvmpipe (LLVM 15.0.6, 512 bits)"), undefined);
    await Deno.remove(dir, { recursive: true });
    assert.deepEqual(await source(), {}); // the driver was taken away while the run goes on
  },
});

Deno.test("a program that is not there answers nothing", async () => {
  assert.equal(await new Program("/nowhere/at/all", "/nor/here").ask([]), undefined);
});

/** What `grep -sH ""` printed on a machine of each kind. */
const INTEL = `/sys/class/hwmon/hwmon2/name:coretemp
/sys/class/hwmon/hwmon2/temp1_input:64000
/sys/class/hwmon/hwmon3/name:nvme
/sys/class/hwmon/hwmon3/temp1_input:38850
/sys/class/thermal/thermal_zone0/type:acpitz
/sys/class/thermal/thermal_zone0/temp:27800
/sys/class/thermal/thermal_zone5/type:x86_pkg_temp
/sys/class/thermal/thermal_zone5/temp:65000
/sys/class/powercap/intel-rapl:0/name:package-0
/sys/class/powercap/intel-rapl:0/energy_uj:1000000
/sys/class/powercap/intel-rapl:0/max_energy_range_uj:262143328850
/sys/class/powercap/intel-rapl:1/name:psys
/sys/class/powercap/intel-rapl:1/energy_uj:5000000
/sys/class/powercap/intel-rapl:1/max_energy_range_uj:262143328850
`;

Deno.test("Linux: the processor's temperature is its own sensor's, else its zone's, else absent", () => {
  assert.deepEqual(processorTemperature(parseGrep(INTEL)), { cpu_temperature_celsius: 64 });
  const zones = INTEL.split("\n").filter((line) => line.includes("thermal")).join("\n");
  assert.deepEqual(processorTemperature(parseGrep(zones)), { cpu_temperature_celsius: 65 });
  const none = INTEL.split("\n").filter((line) => line.includes("zone0") || line.includes("hwmon3")).join(
    "\n",
  );
  assert.deepEqual(processorTemperature(parseGrep(none)), {});
  // A sensor that is there and not connected says 0, or nothing that is a number.
  assert.deepEqual(processorTemperature(parseGrep(INTEL.replace("64000", "0"))), {
    cpu_temperature_celsius: 65,
  });
  assert.deepEqual(processorTemperature(parseGrep(zones.replace("65000", "N/A"))), {});
});

Deno.test("Linux: the processor's power is the energy between two looks, also where the counter begins again", () => {
  const found = (energy: number) => parseGrep(INTEL.replace("energy_uj:1000000", `energy_uj:${energy}`));
  const packages = new PackagePower();
  assert.deepEqual(packages.power(found(1_000_000), 10), {});
  assert.deepEqual(packages.power(found(101_000_000), 15), { cpu_power_watts: 20 });
  assert.deepEqual(packages.power(found(101_000_000), 16), {}); // a counter that stands still measures nothing
  const nearEnd = new PackagePower();
  nearEnd.power(found(262_143_328_850 - 4_000_000), 0);
  assert.deepEqual(nearEnd.power(found(6_000_000), 2), { cpu_power_watts: 5 });
  assert.deepEqual(new PackagePower().power(new Map(), 1), {});
});

Deno.test("Linux: of AMD's cards the larger one counts", () => {
  const card = (i: number, memory: number, power: string) =>
    `/sys/class/drm/card${i}/device/vendor:0x1002
/sys/class/drm/card${i}/device/gpu_busy_percent:${i}7
/sys/class/drm/card${i}/device/mem_info_vram_used:${memory / 4}
/sys/class/drm/card${i}/device/mem_info_vram_total:${memory}
/sys/class/drm/card${i}/device/hwmon/hwmon${i + 3}/temp1_input:5${i}000
${power}`;
  const text = card(0, 2 ** 29, "") +
    card(1, 2 ** 34, "/sys/class/drm/card1/device/hwmon/hwmon4/power1_average:203000000\n");
  assert.deepEqual(amdCard(parseGrep(text)), {
    gpu_utilization_percent: 17,
    gpu_memory_used_bytes: 2 ** 32,
    gpu_memory_total_bytes: 2 ** 34,
    gpu_power_watts: 203,
    gpu_temperature_celsius: 51,
  });
  assert.deepEqual(amdCard(parseGrep(text.replaceAll("0x1002", "0x8086"))), {});
  assert.equal("gpu_power_watts" in amdCard(parseGrep(card(0, 2 ** 29, ""))), false);
});

/** A monitor with a clock and a timer of our own. */
class Staged {
  now = 0;
  readonly lines: SystemLine[] = [];
  readonly pauses: number[] = [];
  readonly monitor: Monitor;
  #next: (() => Promise<void>) | undefined;

  constructor(options: Partial<MonitorOptions>) {
    this.monitor = new Monitor({
      interval: 10,
      sources: [],
      write: (line) => this.lines.push(line),
      clock: () => this.now,
      schedule: (look, milliseconds) => {
        this.#next = look;
        this.pauses.push(milliseconds);
        return () => this.#next = undefined;
      },
      ...options,
    });
  }

  /** Whether a look is to come. */
  get isLooking(): boolean {
    return this.#next !== undefined;
  }

  /** Lets the time pass until the next look, and has it taken. */
  async look(): Promise<void> {
    this.now += this.pauses.at(-1)! / 1000;
    await this.#next!();
  }
}

Deno.test("a monitor looks at once and then every interval, until its end", async () => {
  const staged = new Staged({ sources: [() => ({ cpu_percent: 0 })] });
  await staged.monitor.begin();
  for (let i = 0; i < 3; i++) await staged.look();
  assert.deepEqual(staged.pauses, [10_000, 10_000, 10_000, 10_000]);
  assert.deepEqual(staged.lines, Array(4).fill({ cpu_percent: 0, monitor_seconds: 0 }));
  assert.deepEqual(staged.monitor.end(undefined), {});
  assert.equal(staged.isLooking, false);
});

Deno.test("looking takes a hundredth of the time at most, whatever the interval and the machine", async () => {
  const staged: Staged = new Staged({
    interval: 1,
    sources: [() => {
      staged.now += 0.05; // a slow program
      return { gpu_power_watts: 100 };
    }],
  });
  await staged.monitor.begin();
  assert.deepEqual([staged.pauses, staged.lines[0]!.monitor_seconds], [[5000], 0.05]);
  for (let i = 0; i < 9; i++) await staged.look();
  const looking = staged.lines.reduce((sum, line) => sum + line.monitor_seconds, 0);
  assert.ok(looking <= 0.01 * (staged.now + staged.pauses.at(-1)! / 1000));
  assert.deepEqual([pauseAfter(0.002, 1), pauseAfter(0.5, 10)], [1, 50]);
});

Deno.test("a look that is slow because others worked is not held against the monitor", async () => {
  let wait = 0.02;
  const staged: Staged = new Staged({ sources: [() => (staged.now += wait, {})] });
  await staged.monitor.begin();
  wait = 3;
  await staged.look();
  assert.deepEqual(staged.pauses, [10_000, 10_000]);
});

Deno.test("a source that fails costs its own fields", async () => {
  const staged = new Staged({
    sources: [
      () => ({ process_rss_bytes: 5 }),
      () => {
        throw new Error("no such thing");
      },
      () => Promise.reject(new Error("nor this")),
      () => ({ disk_total_bytes: 7 }),
    ],
  });
  await staged.monitor.begin();
  assert.deepEqual(staged.lines, [{ process_rss_bytes: 5, disk_total_bytes: 7, monitor_seconds: 0 }]);
});

Deno.test("energy is power over time, and the most memory is kept", async () => {
  const readings: Reading[] = [
    { gpu_power_watts: 100, gpu_memory_used_bytes: 5 },
    { gpu_power_watts: 300, gpu_memory_used_bytes: 9 },
    { gpu_memory_used_bytes: 2 }, // once the card did not tell its power
    { gpu_power_watts: 200 },
  ];
  const staged = new Staged({ sources: [() => readings.shift()!] });
  await staged.monitor.begin();
  for (let i = 0; i < 3; i++) await staged.look();
  // 10 s from 100 to 300 W, 10 s of the last known 300 W, 10 s of 200 W.
  assert.deepEqual(staged.lines.map((line) => line.gpu_energy_joules), [0, 2000, 5000, 7000]);
  staged.now += 4;
  assert.deepEqual(staged.monitor.end(2_000_000), {
    gpu_memory_used_peak_bytes: 9,
    gpu_energy_joules: 7800,
    gpu_energy_joules_per_million_tokens: 3900,
  });
});

Deno.test("a run that goes on adds to the energy and the peaks that its lines tell", async () => {
  const staged = new Staged({
    sources: [() => ({ cpu_power_watts: 10, process_rss_bytes: 100 })],
    earlier: [
      { step: 1, process_rss_bytes: 400, cpu_energy_joules: 50 },
      { step: 2, process_rss_bytes: 300, cpu_energy_joules: 60 },
      { step: 3, process_rss_bytes: 200 },
    ],
  });
  await staged.monitor.begin();
  await staged.look();
  const summary = staged.monitor.end(undefined);
  assert.deepEqual(summary, { process_rss_peak_bytes: 400, cpu_energy_joules: 160 });
});

Deno.test("where no power is known there is no energy, not an energy of 0", async () => {
  const staged = new Staged({ sources: [() => ({ gpu_utilization_percent: 0 })] });
  await staged.monitor.begin();
  await staged.look();
  assert.deepEqual(staged.lines.at(-1), { gpu_utilization_percent: 0, monitor_seconds: 0 });
  assert.deepEqual(staged.monitor.end(1000), {});
});

Deno.test("a look that is under way when the run ends is not written", async () => {
  let answer = (_: Reading) => {};
  const staged = new Staged({ sources: [() => new Promise<Reading>((resolve) => answer = resolve)] });
  const look = staged.monitor.begin();
  staged.monitor.end(undefined);
  answer({ cpu_percent: 1 });
  await look;
  assert.deepEqual([staged.lines, staged.isLooking], [[], false]);
});

Deno.test("the training thread has no part of the monitor in it", async () => {
  const worker = join(import.meta.dirname!, "../../pipeline/worker.ts");
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", worker] }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: { specifier: string }[] };
  assert.ok(modules.some(({ specifier }) => specifier.endsWith("/pipeline/trainer.ts")));
  assert.deepEqual(modules.filter(({ specifier }) => specifier.includes("/experiments/")), []);
});

Deno.test("a machine without a GPU of its own gives no field of one", async () => {
  const readings = [];
  for (const source of machineSources("llvmpipe (LLVM 15.0.6, 512 bits)", ".")) readings.push(await source());
  const fields = Object.keys(Object.assign({}, ...readings));
  assert.ok(fields.includes("process_rss_bytes"));
  assert.deepEqual(fields.filter((field) => field.startsWith("gpu_")), []);
});
