/**
 * The process and the machine, from what Deno and its `node:os` and `node:fs` tell of themselves: no program is run. Each
 * fact is asked alone, so that a missing permission (`--allow-sys=cpus,statfs,systemMemoryInfo`) costs its own fields.
 */

import { statfsSync } from "fs";
import { cpus } from "os";
import process from "process";
import type { Reading, Source } from "./reading.ts";

/**
 * A source of what the host tells.
 *
 * @param folder a folder on the disk that counts
 *
 * @example
 * ```ts
 * import { hostSource } from "./host.ts";
 * const { memory_available_bytes } = await hostSource(".")();
 * ```
 */
export function hostSource(folder: string): Source {
  const ownShare = processShare();
  const machineShare = coresShare();
  return () => ({
    ...asked(() => {
      const { rss, heapUsed } = Deno.memoryUsage();
      return { process_rss_bytes: rss, process_heap_bytes: heapUsed };
    }),
    ...asked(ownShare),
    ...asked(machineShare),
    ...asked(() => {
      const { total, available } = Deno.systemMemoryInfo();
      return total > 0 ? { memory_total_bytes: total, memory_available_bytes: available } : {};
    }),
    ...asked(() => {
      const { bsize, blocks, bavail } = statfsSync(folder);
      return blocks > 0 ? { disk_total_bytes: blocks * bsize, disk_available_bytes: bavail * bsize } : {};
    }),
  });
}

/** What a question gives, or nothing where it may not be asked or has no answer. */
function asked(question: () => Reading): Reading {
  try {
    return question();
  } catch {
    return {};
  }
}

/** The process's processor time over the time that has passed. */
function processShare(): () => Reading {
  let [usedBefore, before] = [used(), performance.now()];
  return () => {
    const [usedNow, now] = [used(), performance.now()];
    const percent = 100 * (usedNow - usedBefore) / (now - before);
    [usedBefore, before] = [usedNow, now];
    return Number.isFinite(percent) ? { process_cpu_percent: percent } : {};
  };

  /** Milliseconds of all threads so far. */
  function used(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  }
}

/** The busy part of the cores' time since the question before; nothing at first. */
function coresShare(): () => Reading {
  let before: { busy: number; all: number } | undefined;
  return () => {
    const now = coreTimes(cpus());
    const [busy, all] = [now.busy - (before?.busy ?? 0), now.all - (before?.all ?? 0)];
    const isFirst = before === undefined;
    before = now;
    return isFirst || all <= 0 ? {} : { cpu_percent: 100 * busy / all };
  };
}

/** Milliseconds of all cores since the machine started. */
function coreTimes(cores: ReturnType<typeof cpus>): { busy: number; all: number } {
  let [busy, all] = [0, 0];
  for (const { times: { user, nice, sys, irq, idle } } of cores) {
    busy += user + nice + sys + irq;
    all += user + nice + sys + irq + idle;
  }
  return { busy, all };
}
