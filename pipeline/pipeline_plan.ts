/**
 * What a pipeline would do: which of its stages are up to date, which must be done and why, and which are not wanted. Nothing
 * is done here; `pipeline.ts` does it.
 */

import { UserError } from "../common/mod.ts";
import { decide, type Decision, outputFault, type Situation } from "./decide.ts";
import { openPipeline, type PipelineSource } from "./pipeline_open.ts";
import { overallStatus, type PipelineReport, stageReport } from "./pipeline_report.ts";
import { isHeld, STAGE_NAMES, type StageName } from "./pipeline_state.ts";
import type { RunStore } from "./recorder.ts";
import { evaluateStage } from "./stages/evaluate.ts";
import { generateStage } from "./stages/generate.ts";
import { optimizeStage } from "./stages/optimize.ts";
import { processStage } from "./stages/process.ts";
import type { Stage } from "./stages/stage.ts";
import { trainStage } from "./stages/train.ts";

/** Seconds that are spent on searching when it is asked for without a number. */
export const DEFAULT_BUDGET_SECONDS = 120;

/** What a pipeline is to do. */
export interface PipelineRequest extends PipelineSource {
  /** The only stage to be done; those before it must be. @default "all" */
  stage?: StageName | "all" | undefined;
  /** Do stages again although they are up to date. @default false */
  forceRestart?: boolean | undefined;
  /** Take the dataset as it was prepared before, and do not look at the text. @default false */
  skipProcess?: boolean | undefined;
  /** Do not search; a choice that the run has made stays in use. @default false */
  skipOptimization?: boolean | undefined;
  /** Search for the batch size, the learning rate and so on. @default whether a budget is given, or the run did before */
  autoOptimize?: boolean | undefined;
  /** Seconds that the search may take. @default 120 */
  optimizationTimeBudget?: number | undefined;
  /** Ends the pipeline, with its state saved. */
  signal?: AbortSignal | undefined;
}

/** The stages by name. */
export const STAGES: Record<StageName, Stage> = {
  process: processStage,
  optimize: optimizeStage,
  train: trainStage,
  evaluate: evaluateStage,
  generate: generateStage,
};

/**
 * How a pipeline stands, and what `runPipeline` would do. Changes nothing.
 *
 * @throws UserError as `runPipeline` would before its first stage
 */
export async function planPipeline(request: PipelineRequest, runs: RunStore): Promise<PipelineReport> {
  const situation = await openPipeline(request, runs);
  applyWishes(situation, request);
  const { dir, state } = situation;
  const held = dir !== undefined && isHeld(dir);
  const decisions = await foretell(situation, request);
  const stages = decisions.map((decision) => {
    const report = stageReport(state, decision, held);
    const isLeft = report.action === "run" && !isAskedFor(report.stage, request);
    return isLeft ? { ...report, action: "skip" as const } : report;
  });
  return { run: dir ?? null, config_name: state.config_name, status: overallStatus(stages), stages };
}

/** Decides about all stages, as far as that can be known before any is done. Throws as `planPipeline`. */
export async function foretell(situation: Situation, request: PipelineRequest): Promise<Decision[]> {
  const decisions: Decision[] = [];
  const redone = new Set<StageName>();
  for (const name of STAGE_NAMES) {
    let decision = await decideStage(name, situation, request);
    const first = STAGES[name].after.find((before) => redone.has(before));
    if (decision.action === "keep" && first !== undefined) {
      decision = { ...decision, action: "run", why: `comes after ${first}; is kept if that gives the same` };
    }
    if (decision.action === "run") {
      if (!isAskedFor(name, request)) refuseIfNeeded(decision, request);
      else redone.add(name);
    }
    decisions.push(decision);
  }
  return decisions;
}

/**
 * Notes in the state what the user wants of the search, which a pipeline that goes on remembers.
 *
 * @throws UserError when wishes contradict one another
 */
export function applyWishes({ state }: Situation, request: PipelineRequest): void {
  const { autoOptimize, optimizationTimeBudget, skipOptimization, stage } = request;
  const isWanted = autoOptimize === true || optimizationTimeBudget !== undefined || stage === "optimize";
  if (skipOptimization && isWanted) {
    throw new UserError("--skip-optimization contradicts a search that is asked for", {
      hint: "leave one of the two out",
    });
  }
  if (request.skipProcess && stage === "process") {
    throw new UserError("--skip-process contradicts --stage process", { hint: "leave one of the two out" });
  }
  if (isWanted) {
    const budget_seconds = optimizationTimeBudget ?? state.optimize?.budget_seconds ?? DEFAULT_BUDGET_SECONDS;
    state.optimize = { budget_seconds };
  }
  if (skipOptimization && state.stages.optimize?.status !== "done") state.optimize = null;
}

/** What is to be done about a stage when those before it have been done. */
export async function decideStage(
  name: StageName,
  situation: Situation,
  request: PipelineRequest,
): Promise<Decision> {
  const { dir, state } = situation;
  const record = state.stages[name];
  const settled = (action: "keep" | "skip", why: string): Decision => (
    { stage: name, action, why, reason: undefined, changed: [], made_from: { config: {}, inputs: {} } }
  );
  if (name === "optimize") {
    if (state.optimize === null) return settled("skip", "not asked for: --auto-optimize");
    if (request.skipOptimization) return settled("keep", "--skip-optimization: the choice stays");
  }
  if (name === "process" && request.skipProcess && record?.status === "done" && dir !== undefined) {
    const fault = await outputFault(dir, record);
    if (fault === undefined) return settled("keep", "--skip-process: the dataset stays");
    throw new UserError(`--skip-process: ${fault}`, { hint: "leave --skip-process out to prepare it again" });
  }
  const decision = await decide(STAGES[name], situation);
  if (name === "process" && request.skipProcess) {
    return {
      ...decision,
      reason: "adopted",
      why: "--skip-process: a dataset that was prepared before is taken",
    };
  }
  if (request.forceRestart && isAskedFor(name, request)) {
    return { ...decision, action: "run", reason: "forced", why: "--force-restart" };
  }
  return decision;
}

/** Whether a stage is among those that are to be done. */
export function isAskedFor(name: StageName, { stage = "all" }: PipelineRequest): boolean {
  return stage === "all" || stage === name;
}

/** Refuses to do a stage alone while one that it comes after is to be done. */
export function refuseIfNeeded({ stage: name, why }: Decision, { stage = "all" }: PipelineRequest): void {
  if (stage === "all" || !comesAfter(STAGES[stage], name)) return;
  throw new UserError(`--stage ${stage}: ${name} must be done before it (${why})`, {
    hint: `--stage ${name} does that, --stage all both`,
  });
}

function comesAfter(stage: Stage, name: StageName): boolean {
  return stage.after.some((before) => before === name || comesAfter(STAGES[before], name));
}
