/** Walking the repository for tests of the house. */

import * as path from "path";

/** The repository's folder. */
export const ROOT: string = path.resolve(import.meta.dirname!, "../..");

/** The files at or below the given paths, relative to the repository and with `/` between their parts. */
export function filesBelow(paths: readonly string[]): string[] {
  return paths.flatMap((name) => {
    const whole = path.join(ROOT, name);
    if (Deno.statSync(whole).isFile) return [name];
    return filesBelow(Array.from(Deno.readDirSync(whole), (entry) => `${name}/${entry.name}`));
  }).sort();
}
