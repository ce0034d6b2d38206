/** What a script says of a run's configuration: a file or keys, instead of flags. */

import type { RunConfigSource } from "./run_config.ts";

/** Keys of a section of a config. */
export type SectionKeys = Readonly<Record<string, unknown>>;

/** What a script says of a run's configuration. */
export interface ScriptConfig {
  /** Path of a run config (`configs/models/…`), or keys of its section `model`; defaults fill what is missing. */
  model?: string | SectionKeys;
  /** Keys of the section `training` of a config, such as `max_steps`; they go before those of the file. */
  training?: SectionKeys;
  /** First part of the name of the run's folder; the config's name when left out. */
  name?: string;
  /** Folder that holds the runs. @default "runs" */
  runs_dir?: string;
}

/**
 * The same as where a configuration comes from: what a script says goes before the file, as flags do.
 *
 * @example
 * ```ts
 * import assert from "assert";
 * import { scriptSource } from "./script_config.ts";
 * const { flags } = scriptSource({ model: { n_layer: 2 }, training: { max_steps: 500 } });
 * assert.equal(flags["model.n_layer"], 2);
 * assert.equal(flags["training.max_steps"], 500);
 * ```
 */
export function scriptSource(
  { model, training, name, runs_dir }: ScriptConfig,
): Pick<RunConfigSource, "configPath"> & { flags: Record<string, unknown> } {
  const isPath = typeof model === "string";
  return {
    configPath: isPath ? model : undefined,
    flags: {
      ...keysOf("model", isPath ? undefined : model),
      ...keysOf("training", training),
      "tracking.name": name,
      "tracking.runs_dir": runs_dir,
    },
  };
}

function keysOf(section: string, keys: SectionKeys = {}): Record<string, unknown> {
  return Object.fromEntries(Object.entries(keys).map(([key, value]) => [`${section}.${key}`, value]));
}
