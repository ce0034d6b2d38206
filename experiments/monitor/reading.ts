/**
 * What a look at the machine gives: the fields of a line of `system.jsonl`. A field that the platform does not give is
 * absent: a 0 is always a measured one.
 */

/** What was seen. Percentages are of the time since the look before. */
export interface Reading {
  /** Memory that the process holds, and the part of it that is V8's heap. On a software adapter the device's is in it. */
  process_rss_bytes?: number;
  process_heap_bytes?: number;
  /** Processor time of the process, all its threads: 100 is one core. */
  process_cpu_percent?: number;
  /** Time that the machine's cores were busy: 100 is all of them. */
  cpu_percent?: number;
  cpu_temperature_celsius?: number;
  /** Power of the processor packages. */
  cpu_power_watts?: number;
  memory_total_bytes?: number;
  memory_available_bytes?: number;
  /** The file system that the run's folder is on; available is what the user may still write. */
  disk_total_bytes?: number;
  disk_available_bytes?: number;
  /** Of the GPU that trains, whoever uses it. */
  gpu_utilization_percent?: number;
  gpu_memory_used_bytes?: number;
  gpu_memory_total_bytes?: number;
  gpu_power_watts?: number;
  gpu_temperature_celsius?: number;
}

/** Where readings come from. It throws nothing: what it cannot tell is absent. */
export type Source = () => Reading | Promise<Reading>;

/** The fields that have a value. */
export function known(fields: { [K in keyof Reading]: number | undefined }): Reading {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
