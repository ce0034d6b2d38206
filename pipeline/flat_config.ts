/** A run's configuration as a flat list of keys, `section.key`, to be compared and changed key by key. */

import type { RunConfig } from "./run_config.ts";

/** The keys of a configuration with their values, as `training.max_steps`; keys that are not set are left out. */
export function flatConfig(config: RunConfig): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).flatMap(([section, keys]) =>
      Object.entries(keys as Record<string, unknown>).flatMap(([key, value]) =>
        value === undefined ? [] : [[`${section}.${key}`, value]]
      )
    ),
  );
}

/** Keys in which two flat configurations differ. */
export function differentKeys(a: Record<string, unknown>, b: Record<string, unknown>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => !sameValue(a[key], b[key]));
}

/** Whether two values of a configuration are the same. */
export function sameValue(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A configuration with some keys, `section.key`, set to other values. */
export function withKeys(config: RunConfig, values: Readonly<Record<string, unknown>>): RunConfig {
  const changed = structuredClone(config) as unknown as Record<string, Record<string, unknown>>;
  for (const [path, value] of Object.entries(values)) {
    const [section, key] = path.split(".") as [string, string];
    changed[section]![key] = value;
  }
  return changed as unknown as RunConfig;
}
