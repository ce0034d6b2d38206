/** Configurations as flat tables: `training.learning_rate` beside `model.n_layer`, as lists of runs show them. */

/**
 * The values of a tree under dotted keys. Lists stay lists, and an empty section stays an empty object.
 *
 * @example
 * ```ts
 * import { flatten } from "./flatten.ts";
 * flatten({ model: { n_layer: 4 }, note: "x" }); // { "model.n_layer": 4, note: "x" }
 * ```
 */
export function flatten(tree: unknown): Record<string, unknown> {
  const flat: [string, unknown][] = [];
  const walk = (value: unknown, path: string) => {
    const keys = isSection(value) ? Object.keys(value) : [];
    if (keys.length === 0) flat.push([path, value]);
    else {keys.forEach((key) =>
        walk((value as Record<string, unknown>)[key], path === "" ? key : `${path}.${key}`)
      );}
  };
  if (isSection(tree)) walk(tree, "");
  return Object.fromEntries(flat.filter(([path]) => path !== ""));
}

/** Whether a value is a section of keys, and neither a list nor null. */
export function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
