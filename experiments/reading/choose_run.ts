/** Finding the run that a user means: by its folder, its id, its name, or the beginning of one. */

import { basename, dirname, resolve } from "path";
import { didYouMean, displayPath, UserError, userPath } from "../../common/mod.ts";
import type { RunEntry } from "./run_entry.ts";

/** How much of what was typed an error repeats. */
const SHOWN = 80;

/**
 * The run that is meant. An id goes before a name, and a whole one before a beginning.
 *
 * @param which id, name, the beginning of either that only one run has, or the path of the run's folder
 * @param runsDir the folder that the runs are from: a path that leads elsewhere is refused
 * @throws UserError when there is none, or more than one; it names those that come near
 */
export function chooseRun(runs: readonly RunEntry[], which: string, runsDir: string): RunEntry {
  const isPath = /[/\\]/.test(which) || which === "." || which === "..";
  if (isPath) {
    const path = resolve(userPath(which));
    const run = dirname(path) === resolve(userPath(runsDir)) && runs.find(({ id }) => id === basename(path));
    if (run) return run;
  } else {
    const meanings: ((run: RunEntry) => boolean)[] = [
      ({ id }) => id === which,
      ({ name }) => name === which,
      ({ id, name }) => which !== "" && (id.startsWith(which) || name.startsWith(which)),
    ];
    for (const isMeant of meanings) {
      const found = runs.filter(isMeant);
      if (found.length === 1) return found[0]!;
      if (found.length > 1) throw ambiguous(which, found);
    }
  }
  const near = didYouMean(which, runs.flatMap(({ id, name }) => [id, name]));
  throw new UserError(`there is no run ${shown(which)} in ${displayPath(userPath(runsDir))}`, {
    hint: near === undefined
      ? "`chatgot runs` lists them; --runs names another folder"
      : `did you mean ${shown(near)}?`,
  });
}

function ambiguous(which: string, found: readonly RunEntry[]): UserError {
  const some = found.slice(0, 5).map(({ id }) => id).join(", ");
  return new UserError(
    `${shown(which)} may be ${found.length} runs: ${some}${found.length > 5 ? ", …" : ""}`,
    {
      hint: "give more of the id",
    },
  );
}

/** A name as JSON shows it, so that it is one line, and not longer than a line. */
function shown(name: string): string {
  const text = name.length > SHOWN ? `${name.slice(0, SHOWN)}…` : name;
  return /^[\w.-]+$/.test(text) ? text : JSON.stringify(text);
}
