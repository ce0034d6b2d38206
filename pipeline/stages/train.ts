/**
 * The stage `train`: steps from the first to the last, or on from the run's newest checkpoint. Where what it is made from has
 * changed it begins anew, and what was trained before is set aside; more steps alone go on.
 */

import { join, relative } from "path";
import { displayPath, exists, fileError, readJson, sha256, UserError } from "../../common/mod.ts";
import { ensureAdapter } from "../../gpu/mod.ts";
import { CHECKPOINT_FILES, checkpointPath, checkpointSteps, latestCheckpoint } from "../../models/mod.ts";
import { beginRun, choicesOf } from "../resume.ts";
import { TrainSession } from "../train_session.ts";
import type { ProcessResult } from "./process.ts";
import { initialModelSource, Interrupted, type Stage, type StageContext, type StageResult } from "./stage.ts";
import { isTrainingKey } from "./training_keys.ts";

/** What this stage's record says came out. */
export interface TrainResult {
  /** The last checkpoint, relative to the run's folder. */
  checkpoint: string;
  steps: number;
  train_loss: unknown;
  val_loss: unknown;
}

/** Where checkpoints go that a changed configuration has made worthless; those that were there before go. */
const SET_ASIDE = "checkpoints.discarded";

/** Trains the model. */
export const trainStage: Stage = {
  name: "train",
  after: ["process", "optimize"],
  dependsOn: isTrainingKey,
  sources: initialModelSource,

  async discard(context) {
    const goesOn = ["new", "unfinished", "outputs"].includes(context.reason) || isExtended(context);
    if (!goesOn) await setAside(context.dir);
  },

  async run(context) {
    const { dir, config, runs, records, signal, hooks } = context;
    const warn = (line: string) => hooks.onWarning?.(line);
    const extended = isExtended(context);
    const { checkpoint, warnings } = await latestCheckpoint(dir);
    const step = checkpoint?.step;
    checkpoint?.close();
    if (step === undefined && warnings.length > 0) {
      warn(`warning: ${warnings.join("; ")}; training begins anew`);
      await setAside(dir);
    }
    const record = await runs.readRun(dir);
    const { steps, early_stopped } = record.summary;
    const isOver = step === config.training.max_steps || (early_stopped === true && !extended);
    if (record.status === "completed" && step === steps && isOver) {
      return await resultOf(dir, step!, record.summary); // killed between the training's last word and ours
    }
    await ensureAdapter({ log: warn });
    const kernelChoices = choicesOf(record);
    const job = {
      config,
      resume: dir,
      dataset: (records.process!.result as unknown as ProcessResult).folder,
      extended,
      ...(kernelChoices === undefined ? {} : { kernelChoices }),
    };
    const session = new TrainSession({
      job,
      begin: async (preview) => {
        preview.warnings.forEach((line) => warn(`warning: ${line}`));
        const recorder = await beginRun(runs, job, preview, warn);
        hooks.onTraining?.(preview, config, dir);
        return recorder;
      },
      onWarning: warn,
      ...(hooks.onTrainingProgress === undefined ? {} : { onProgress: hooks.onTrainingProgress }),
      ...(hooks.onSample === undefined ? {} : { onSample: hooks.onSample }),
    });
    const onAbort = () => session.stop();
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    try {
      const result = (await session.run())!;
      hooks.onTrained?.(result);
      if (result.status === "interrupted") throw new Interrupted();
      return await resultOf(dir, result.steps, { ...result });
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  },
};

/** Whether the run is given more steps than it was begun with, and nothing else is new. */
function isExtended({ reason, changed, before, config }: StageContext): boolean {
  const steps = before?.made_from.config["training.max_steps"];
  return reason === "config" && typeof steps === "number" && config.training.max_steps > steps &&
    changed.every((key) => key === "training.max_steps");
}

/** Takes the run's checkpoints out of the way. */
async function setAside(dir: string): Promise<void> {
  if ((await checkpointSteps(dir)).length === 0) return;
  const [from, to] = [join(dir, "checkpoints"), join(dir, SET_ASIDE)];
  try {
    if (await exists(to)) await Deno.remove(to, { recursive: true });
    await Deno.rename(from, to);
  } catch (error) {
    throw fileError(error, to, "write");
  }
}

/** The last checkpoint and what the training said of it. */
async function resultOf(dir: string, steps: number, summary: Record<string, unknown>): Promise<StageResult> {
  const path = checkpointPath(dir, steps);
  if (!await exists(path)) {
    throw new UserError(`the checkpoint of step ${steps} is not there`, { file: displayPath(path) });
  }
  const { sha256: files } = await readJson(join(path, CHECKPOINT_FILES.state)) as {
    sha256: Record<string, string>;
  };
  const { train_loss, val_loss } = summary;
  const result: TrainResult = { checkpoint: relative(dir, path), steps, train_loss, val_loss };
  // The optimizer's state is needed to train on, and by no later stage.
  const model = Object.entries(files).filter(([name]) => name !== CHECKPOINT_FILES.optimizer).sort();
  return {
    outputs: [...Object.keys(files), CHECKPOINT_FILES.state].map((name) => join(path, name)),
    digest: sha256(JSON.stringify(model)),
    result: { ...result },
  };
}
