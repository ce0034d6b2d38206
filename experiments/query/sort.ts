/** Putting runs in order by what they have under a name. */

import type { RunEntry } from "../reading/run_entry.ts";
import type { Names, Value } from "./names.ts";

const byText = new Intl.Collator("en", { numeric: true });

/**
 * The runs in order: by the first name, where that is the same by the second, and so on; else as they came. A run without
 * the value comes last, either way.
 *
 * @param keys names, each with a `-` before it for from the largest to the smallest
 * @throws UserError for a name that no run has
 */
export function sortRuns(runs: readonly RunEntry[], keys: readonly string[], names: Names): RunEntry[] {
  if (runs.length === 0) return [];
  const orders = keys.map((key) => {
    const down = key.startsWith("-");
    return { get: names.getter(down ? key.slice(1) : key), sign: down ? -1 : 1 };
  });
  const rows = runs.map((run) => ({ run, values: orders.map(({ get }) => get(run)) }));
  rows.sort((a, b) => {
    for (const [i, { sign }] of orders.entries()) {
      const order = compare(a.values[i]!, b.values[i]!, sign);
      if (order !== 0) return order;
    }
    return 0;
  });
  return rows.map(({ run }) => run);
}

function compare(a: Value, b: Value, sign: number): number {
  const [hasA, hasB] = [a !== null, b !== null];
  if (!hasA || !hasB) return Number(hasB) - Number(hasA);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * byText.compare(String(a), String(b));
}
