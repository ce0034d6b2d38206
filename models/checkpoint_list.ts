/**
 * A run's checkpoints: where they stand, which is the newest whole one, which may go.
 *
 * Names that begin with a dot are a writer's or a deletion's leftovers: no reader ever looks at them, and the run's writer
 * clears them away.
 */
import { join } from "path";
import { displayPath, fileError, UserError } from "../common/mod.ts";
import { type Checkpoint, readCheckpoint } from "./checkpoint.ts";
import type { ModelConfig } from "./config.ts";

/** Folder of the checkpoint of a step: `<runDir>/checkpoints/step_00000500`. */
export function checkpointPath(runDir: string, step: number): string {
  return join(runDir, "checkpoints", `step_${String(step).padStart(8, "0")}`);
}

/** Steps of which a run has a checkpoint, whole or not, newest first; none when it has no folder of them. */
export async function checkpointSteps(runDir: string): Promise<number[]> {
  const names = await entries(join(runDir, "checkpoints"));
  return names
    .flatMap((name) => /^step_(\d{8,})$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

/**
 * Opens the newest checkpoint of a run that is whole.
 *
 * @param expected the configuration that the model must have, as for `readCheckpoint`.
 * @returns the checkpoint (undefined when there is none), and one line for each newer one that had to be passed over.
 */
export async function latestCheckpoint(
  runDir: string,
  expected?: ModelConfig,
): Promise<{ checkpoint: Checkpoint | undefined; warnings: string[] }> {
  const warnings: string[] = [];
  for (const step of await checkpointSteps(runDir)) {
    try {
      return { checkpoint: await readCheckpoint(checkpointPath(runDir, step), expected), warnings };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      warnings.push(`checkpoint of step ${step} is passed over: ${error.describe()}`);
    }
  }
  return { checkpoint: undefined, warnings };
}

/**
 * Deletes a run's checkpoints but the newest `keep` and the best, and what killed writes left behind. For the run's
 * own writer alone: the temporary folder of another that is at work would go, too.
 *
 * @param keep how many to keep, at least 1.
 * @param best step of the checkpoint with the least validation loss, which stays whatever its age.
 * @throws UserError when the folder cannot be changed.
 */
export async function pruneCheckpoints(runDir: string, keep: number, best?: number): Promise<void> {
  const old = (await checkpointSteps(runDir)).slice(Math.max(keep, 1));
  await deleteCheckpoints(runDir, old.filter((step) => step !== best));
}

/**
 * Deletes a run's checkpoints of later steps than `step`: what a run that goes on from there makes anew, and what
 * was passed over as broken. For the run's own writer alone.
 *
 * @throws UserError when the folder cannot be changed.
 */
export async function discardCheckpointsAfter(runDir: string, step: number): Promise<void> {
  await deleteCheckpoints(runDir, (await checkpointSteps(runDir)).filter((later) => later > step));
}

/** Deletes checkpoints and leftovers; each takes a hidden name first, so that a deletion cut short leaves no half one. */
async function deleteCheckpoints(runDir: string, steps: number[]): Promise<void> {
  const dir = join(runDir, "checkpoints");
  try {
    for (const step of steps) {
      await Deno.rename(checkpointPath(runDir, step), join(dir, `.step_${step}.${crypto.randomUUID()}.tmp`));
    }
    for (const name of await entries(dir)) {
      if (/^\.step_.*\.tmp$/.test(name)) await Deno.remove(join(dir, name), { recursive: true });
    }
  } catch (error) {
    throw fileError(error, dir, "write");
  }
}

/** Names in a folder, none when it does not exist. */
async function entries(dir: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw fileError(error, displayPath(dir));
  }
}
