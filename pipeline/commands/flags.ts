/** Flags that several commands of this room share, and how their values are read. */

import { join } from "path";
import type { Command } from "commander";
import { parse } from "yaml";
import { parseSetting, type Setting, UserError } from "../../common/mod.ts";
import { trainingSectionSchema } from "../config.ts";

const CONFIGS = join(import.meta.dirname ?? ".", "../../configs/models");

/** The config that is trained where none is given. */
export const DEFAULT_CONFIG: string = join(CONFIGS, "chatgot_tiny_char.yaml");

/** Where training begins with a model that there is already, its shape is known, and the steps are smaller ones. */
const FINE_TUNING_CONFIG = join(CONFIGS, "gpt2_fine_tune.yaml");

/** The config for flags that give none. */
export function standardConfig(flags: Readonly<Record<string, unknown>>): string {
  return flags.initFrom === undefined ? DEFAULT_CONFIG : FINE_TUNING_CONFIG;
}

/** What `--set` collects. */
export interface SettingFlags {
  set: Setting[];
}

/** Adds `--set <key=value>`, which may be given again and again. */
export function addSettingFlag(command: Command): Command {
  return command.option(
    "--set <key=value>",
    "a key of the config, such as training.batch_size=4 (repeat for more)",
    (text: string, before: Setting[]) => [...before, parseSetting(text)],
    [],
  );
}

/** Adds `--json`. */
export function addJsonFlag(command: Command): Command {
  return command.option("--json", "print one JSON object and nothing else on standard output");
}

/**
 * Reads a number from the command line, to be given to commander's `option`. What it may be is checked with the rest
 * of the config; here only that it is one.
 *
 * @param flag the flag's name, for messages
 */
export function numberFlag(flag: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value)) {
      throw new UserError(`--${flag}: expected a number, got ${JSON.stringify(text)}`);
    }
    return value;
  };
}

/** As `numberFlag`, for whole numbers of at least `least` that stand in no config. */
export function countFlag(flag: string, least = 1): (text: string) => number {
  return (text) => {
    const value = numberFlag(flag)(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new UserError(`--${flag}: expected a whole number of at least ${least}, got ${text}`);
  };
}

/** Adds a flag for each key of the section `training`, in a group of their own in the help. */
export function addTrainingFlags(command: Command): Command {
  command.optionsGroup("Keys of the section training:");
  for (const [key, schema] of Object.entries(trainingSectionSchema.shape)) {
    command.option(`--${key.replaceAll("_", "-")} <value>`, describeSchema(schema), valueOf);
  }
  return command.option("--no-tune", "the same as --tune false");
}

/** What the flags of `addTrainingFlags` gave, by key (`training.max_steps`); undefined ones were not given. */
export function trainingFlags(flags: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(trainingSectionSchema.shape).map((key) => [`training.${key}`, flags[camel(key)]]),
  );
}

/** A field's description, which stands on the schema inside defaults. */
function describeSchema(schema: { description?: string | undefined; unwrap?: () => unknown }): string {
  const inner = schema.unwrap?.() as typeof schema | undefined;
  return schema.description ?? (inner === undefined ? "" : describeSchema(inner));
}

/** A flag's value; what it may be is checked with the rest of the config. */
function valueOf(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

/** `max_seq_length` as commander names its flag: `maxSeqLength`. */
function camel(key: string): string {
  return key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
