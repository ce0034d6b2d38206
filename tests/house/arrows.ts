/** The arrows between rooms (docs/organization.md) as a rule over import edges, and a search for import cycles. */

/** One file imports another; paths are relative to the repository. */
export type Edge = readonly [from: string, to: string];

/** The rooms that each room may use. */
const MAY_USE: Record<string, readonly string[]> = {
  common: [],
  data: ["common"],
  gpu: ["common"],
  models: ["gpu", "common"],
  pipeline: ["models", "gpu", "data", "common"],
  experiments: ["pipeline", "models", "gpu", "data", "common"],
};

/** The names of the rooms. */
export const ROOMS = Object.keys(MAY_USE);

/** Which edges break the rules, one sentence each: arrows go one way, and into another room only by its door. */
export function arrowFaults(edges: readonly Edge[]): string[] {
  return edges.flatMap(([from, to]) => {
    const source = roomOf(from);
    const target = roomOf(to);
    if (to === "mod.ts" && source === undefined) return []; // scripts are outside
    if (to === "mod.ts") return [`${from} imports mod.ts, which is for those outside`];
    if (target === undefined || target === source) return [];
    if (source !== undefined && !MAY_USE[source]!.includes(target)) {
      return [`${from} imports ${to}: ${source}/ may not use ${target}/`];
    }
    // Tests look into drawers too.
    if (!from.startsWith("tests/") && to !== `${target}/mod.ts`) {
      return [`${from} imports ${to}: other rooms use the door ${target}/mod.ts`];
    }
    return [];
  });
}

/** The import cycles: each group of files that reach one another, sorted. */
export function importCycles(edges: readonly Edge[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const [from, to] of edges) targets.set(from, [...targets.get(from) ?? [], to]);
  // Tarjan's strongly connected components (SIAM J. Comput. 1, 1972).
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (file: string) => {
    order.set(file, order.size);
    low.set(file, order.get(file)!);
    stack.push(file);
    for (const next of targets.get(file) ?? []) {
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!));
    }
    if (low.get(file) !== order.get(file)) return;
    const group = stack.splice(stack.indexOf(file));
    if (group.length > 1 || targets.get(file)?.includes(file)) cycles.push(group.sort());
  };
  for (const file of targets.keys()) if (!order.has(file)) visit(file);
  return cycles.sort((a, b) => a[0]!.localeCompare(b[0]!));
}

function roomOf(file: string): string | undefined {
  return ROOMS.find((room) => file.startsWith(`${room}/`));
}
