/** Flags that several commands of this room share, and how their values are read. */

import type { Command } from "commander";
import { parseSetting, type Setting, UserError } from "../../common/mod.ts";

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
