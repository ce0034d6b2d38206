/** `chatgot runs rm`: removes runs with all that is in their folders, after asking, and never one that is being written. */

import { join } from "path";
import { Command } from "commander";
import { displayPath, fileError, UserError } from "../../common/mod.ts";
import { isHeld } from "../reading/is_held.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { addRunsFlags, chosenRuns, type RunsFlags } from "./flags.ts";
import { oneLine } from "./plain_text.ts";

/** The command. */
export function runsRemoveCommand(): Command {
  const command = new Command("rm")
    .description("Remove runs with their checkpoints and all else; asks first")
    .argument("<run...>", "ids, names, beginnings of either, or folders")
    .option("--yes", "do not ask");
  return addRunsFlags(command).action(async (which: string[], flags: RunsFlags & { yes?: boolean }) => {
    const runs = await chosenRuns(which, flags);
    runs.forEach(refuseIfHeld);
    if (!flags.yes && !isSure(runs, flags)) {
      console.error("nothing was removed");
      Deno.exitCode = 1;
      return;
    }
    for (const run of runs) await remove(run);
    if (flags.json) console.log(JSON.stringify({ removed: runs.map(({ id }) => id) }));
    else runs.forEach(({ id }) => console.log(`removed ${oneLine(id, 100)}`));
  });
}

function isSure(runs: readonly RunEntry[], { json }: RunsFlags): boolean {
  if (json || !Deno.stdin.isTerminal()) {
    throw new UserError("there is nobody to ask whether to remove the runs", {
      hint: "give --yes if you are sure",
    });
  }
  const list = runs.map(({ dir, metrics: { step } }) =>
    `  ${displayPath(dir)}${step === null ? "" : `, ${step} steps`}`
  );
  return confirm(
    `${list.join("\n")}\nRemove ${runs.length === 1 ? "this run" : `these ${runs.length} runs`} for good?`,
  );
}

function refuseIfHeld(run: RunEntry): void {
  if (isHeld(run.dir)) throw isBeingWritten(run);
}

function isBeingWritten({ dir }: RunEntry): UserError {
  return new UserError("is being written and was not removed", {
    file: displayPath(dir),
    hint: "stop the process first",
  });
}

/** Removes a run, so that it is there as a whole or not at all, and nobody begins to write to it meanwhile. */
async function remove(run: RunEntry): Promise<void> {
  const aside = join(run.dir, "..", `.removed_${crypto.randomUUID().slice(0, 8)}`);
  try {
    using lock = Deno.openSync(join(run.dir, ".lock"), { write: true, create: true });
    if (!lock.tryLockSync(true)) throw isBeingWritten(run);
    await Deno.rename(run.dir, aside);
  } catch (error) {
    throw fileError(error, run.dir, "write");
  }
  await Deno.remove(aside, { recursive: true }).catch((error) => {
    throw fileError(error, aside, "write");
  });
}
