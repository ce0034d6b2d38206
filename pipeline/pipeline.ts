/**
 * The pipeline: process → optimize → train → evaluate → generate, each stage done if what it made is missing, broken or made
 * from something else than there is now. Its state stands in the run's folder (`pipeline_state.ts`), so that whatever stops
 * it, it goes on where it was. Left out: which stages must be done (`pipeline_plan.ts`), what they do (`stages/`), and how it
 * looks (`commands/pipeline.ts`).
 */

import { UserError, userPath } from "../common/mod.ts";
import { type Decision, digestOutputs, type Situation } from "./decide.ts";
import { flatConfig, sameValue } from "./flat_config.ts";
import { heldError, openPipeline, pinnedConfig, unpin, writeConfig } from "./pipeline_open.ts";
import {
  applyWishes,
  decideStage,
  DEFAULT_BUDGET_SECONDS,
  foretell,
  isAskedFor,
  type PipelineRequest,
  refuseIfNeeded,
  STAGES,
} from "./pipeline_plan.ts";
import { overallStatus, type PipelineReport, type StageReport, stageReport } from "./pipeline_report.ts";
import { holdPipeline, STAGE_NAMES, type StageName, type StageRecord, writeState } from "./pipeline_state.ts";
import type { RunStore } from "./recorder.ts";
import { toYaml } from "./run_config.ts";
import { Interrupted, type PipelineHooks, type StageContext } from "./stages/stage.ts";

/**
 * Runs a pipeline, or goes on with one.
 *
 * @param runs where runs are kept
 * @returns how it stands at the end; `interrupted` when `signal` came
 * @throws UserError when something is wrong with configuration, data, adapter or the run's files; what is done stays done
 */
export async function runPipeline(
  request: PipelineRequest,
  runs: RunStore,
  hooks: PipelineHooks = {},
): Promise<PipelineReport> {
  const opened = await openPipeline(request, runs);
  applyWishes(opened, request);
  if (opened.dir === undefined) {
    if (request.resume !== undefined) {
      hooks.onNote?.("there is no pipeline to go on with, so a new one begins");
    }
    await foretell(opened, request); // what is wrong with it makes no run
  }
  const dir = opened.dir ?? await reserve(opened, runs);
  const situation = { ...opened, dir };
  using _held = holdPipeline(dir) ?? (() => {
    throw heldError(dir);
  })();
  await writeConfig(dir, pinnedConfig(situation));
  await writeState(dir, situation.state);
  const stages: StageReport[] = [];
  for (const name of STAGE_NAMES) {
    const decision = await decideStage(name, situation, request);
    const isRun = decision.action === "run" && isAskedFor(name, request);
    if (decision.action === "run" && !isRun) {
      refuseIfNeeded(decision, request);
      stages.push({ ...stageReport(situation.state, decision, false), action: "skip" });
      continue;
    }
    hooks.onStage?.(name, decision.action, decision.why);
    if (decision.action === "skip" && name === "optimize") await forget(situation, name);
    if (!isRun) {
      stages.push(stageReport(situation.state, decision, false));
      continue;
    }
    const isDone = await runStage(decision, situation, request, runs, hooks);
    const why = isDone ? decision.why : "was stopped";
    const ended = { stage: name, action: "keep" as const, why };
    stages.push({ ...stageReport(situation.state, ended, false), action: "run" });
    if (!isDone) break;
  }
  for (const stage of STAGE_NAMES.slice(stages.length)) {
    stages.push(stageReport(situation.state, { stage, action: "run", why: "not reached" }, false));
  }
  return {
    run: dir,
    config_name: situation.state.config_name,
    status: overallStatus(stages),
    stages,
  };
}

/** Makes the run's folder. */
async function reserve({ config }: Situation, runs: RunStore): Promise<string> {
  const { runs_dir, name, tags, notes } = config.tracking;
  return await runs.reserveRun({
    runs_dir: userPath(runs_dir),
    config_name: name,
    ...(tags === undefined ? {} : { tags }),
    ...(notes === undefined ? {} : { notes }),
    config_yaml: toYaml(config),
    seed: config.training.seed,
  });
}

/** Drops what is known of a stage that is no longer wanted. */
async function forget(situation: Situation & { dir: string }, name: StageName): Promise<void> {
  if (situation.state.stages[name] === undefined) return;
  await unpin(situation);
  delete situation.state.stages[name];
  await writeState(situation.dir, situation.state);
}

/**
 * Does a stage, with its record written before and after.
 *
 * @returns false when it was interrupted
 */
async function runStage(
  { stage: name, reason, changed, made_from }: Decision,
  situation: Situation & { dir: string },
  { signal = new AbortController().signal }: PipelineRequest,
  runs: RunStore,
  hooks: PipelineHooks,
): Promise<boolean> {
  const { dir, state } = situation;
  const stage = STAGES[name];
  const before = state.stages[name];
  if (name === "optimize" && reason !== "outputs") await unpin(situation);
  const context: StageContext = {
    dir,
    config: pinnedConfig(situation),
    runs,
    reason: reason!,
    before,
    changed,
    records: state.stages,
    budgetSeconds: state.optimize?.budget_seconds ?? DEFAULT_BUDGET_SECONDS,
    signal,
    hooks,
  };
  await stage.discard?.(context);
  const began = performance.now();
  const record: StageRecord = {
    status: "running",
    started: new Date().toISOString(),
    ended: null,
    seconds: reason === "unfinished" ? before!.seconds : 0,
    made_from,
    outputs: {},
    digest: null,
    result: ["outputs", "unfinished"].includes(reason!) ? before!.result : {},
    error: null,
  };
  const note = async (change: Partial<StageRecord>) => {
    Object.assign(record, change);
    state.stages[name] = record;
    await writeState(dir, state);
  };
  const ended = () => ({
    ended: new Date().toISOString(),
    seconds: record.seconds + (performance.now() - began) / 1000,
  });
  await note({});
  try {
    if (signal.aborted) throw new Interrupted();
    const { outputs, digest, result } = await stage.run(context);
    if (name === "optimize") pin(situation, result);
    await note({ status: "done", ...ended(), outputs: await digestOutputs(dir, outputs), digest, result });
    if (name === "optimize") await writeConfig(dir, pinnedConfig(situation));
    return true;
  } catch (error) {
    if (error instanceof Interrupted) {
      await note({ status: "interrupted", ...ended() });
      return false;
    }
    const told = error instanceof UserError ? error.describe() : String(error);
    await note({ status: "failed", ...ended(), error: told }).catch(() => {}); // the first error is the one to tell
    throw error;
  }
}

/** Notes which keys the optimize stage chose otherwise than the user. */
function pin({ state, config }: Situation, { choice }: Record<string, unknown>): void {
  const flat = flatConfig(config);
  state.pinned = Object.entries(choice as Record<string, unknown>).flatMap(([key, to]) =>
    sameValue(flat[key], to) ? [] : [{ key, from: flat[key], to }]
  );
}
