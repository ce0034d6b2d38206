/**
 * NVIDIA's cards, through the driver's own `nvidia-smi`. Fields and form: `nvidia-smi --help-query-gpu`; memory is in MiB,
 * power in watts, and what a card does not tell is text in brackets, such as `[N/A]` or `[Not Supported]`.
 */

import { Program } from "./program.ts";
import { known, type Reading, type Source } from "./reading.ts";

/** Where drivers put the program: Linux, and Linux inside Windows. */
export const NVIDIA_SMI = ["/usr/bin/nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"];

const FIELDS = ["utilization.gpu", "memory.used", "memory.total", "power.draw", "temperature.gpu"] as const;

/** What `nvidia-smi` is asked: one line a card, its name first. */
export const NVIDIA_QUERY = [`--query-gpu=name,${FIELDS}`, "--format=csv,noheader,nounits"];

const MIB = 2 ** 20;

/**
 * A source for a run on an adapter of this name; undefined for adapters that are none of NVIDIA's.
 *
 * @param paths where the program may be
 */
export function nvidiaSource(adapter: string, paths = NVIDIA_SMI): Source | undefined {
  if (!/nvidia|geforce|quadro|tesla/i.test(adapter)) return undefined;
  const program = new Program(...paths);
  return async () => parseNvidiaSmi(await program.ask(NVIDIA_QUERY) ?? "", adapter);
}

/**
 * The reading of the card that trains: the one of the adapter's name, or the only one. Where several have the name,
 * nobody knows which of them it is, and nothing is given.
 */
export function parseNvidiaSmi(csv: string, adapter: string): Reading {
  const cards = csv.split("\n").map((line) => line.split(",").map((field) => field.trim()))
    .filter((fields) => fields.length === FIELDS.length + 1);
  const named = cards.filter(([name]) => name!.toLowerCase() === adapter.toLowerCase());
  const [card, ...others] = named.length > 0 ? named : cards;
  if (card === undefined || others.length > 0) return {};
  const [, utilization, used, total, power, temperature] = card.map(measured);
  return known({
    gpu_utilization_percent: utilization,
    gpu_memory_used_bytes: used && used * MIB,
    gpu_memory_total_bytes: total && total * MIB,
    gpu_power_watts: power,
    gpu_temperature_celsius: temperature,
  });
}

/** A field's number; undefined for what is none. */
function measured(field: string): number | undefined {
  return /^\d+(\.\d+)?$/.test(field) ? Number(field) : undefined;
}
