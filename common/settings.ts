/** Values given on the command line as `--set a.b=c`, laid over those of a config file. */

import { parse } from "yaml";
import { UserError } from "./errors.ts";
import type { YamlFile, YamlPath } from "./yaml.ts";

/** One `--set`: where it goes and what it says. */
export interface Setting {
  path: string[];
  value: unknown;
}

/**
 * Reads `a.b=c`; the value is YAML, so `0.1`, `true`, `[1, 2]` and `null` mean what they do in a file.
 * Throws `UserError` if there is no `=` or a key is empty.
 *
 * @example
 * ```ts
 * import { parseSetting } from "./settings.ts";
 * parseSetting("training.max_steps=500"); // { path: ["training", "max_steps"], value: 500 }
 * ```
 */
export function parseSetting(text: string): Setting {
  const equals = text.indexOf("=");
  const path = text.slice(0, Math.max(0, equals)).trim().split(".");
  if (path.some((key) => key === "")) {
    throw new UserError(`--set ${text}: expected key=value`, {
      hint: "for example: --set training.log_interval=1",
    });
  }
  try {
    return { path, value: parse(text.slice(equals + 1)) };
  } catch (cause) {
    throw new UserError(`--set ${text}: the value is not valid YAML`, { hint: "put it in quotes", cause });
  }
}

/**
 * A config with settings laid over it, in order; missing sections are made. The original is not changed. Lines
 * of the file are no longer given for what a setting replaced.
 */
export function withSettings(config: YamlFile, settings: readonly Setting[]): YamlFile {
  const value = structuredClone(config.value);
  for (const setting of settings) place(value, setting);
  const lineOf = (path: YamlPath): number | undefined => {
    const replaced = settings.some((s) =>
      s.path.every((key, i) => i >= path.length || key === String(path[i]))
    );
    return replaced ? undefined : config.lineOf(path);
  };
  return { file: config.file, value, lineOf };
}

function place(value: unknown, setting: Setting): void {
  let at = value;
  setting.path.forEach((key, i) => {
    if (typeof at !== "object" || at === null || Array.isArray(at)) {
      const above = setting.path.slice(0, i).join(".") || "the config";
      throw new UserError(`--set ${setting.path.join(".")}: ${above} is not a section of keys`, {
        hint: "give the whole value instead, or check the spelling",
      });
    }
    const section = at as Record<string, unknown>;
    if (!Object.hasOwn(section, key)) {
      Object.defineProperty(section, key, {
        value: {},
        enumerable: true,
        writable: true,
        configurable: true,
      });
    }
    if (i === setting.path.length - 1) section[key] = setting.value;
    at = section[key];
  });
}
