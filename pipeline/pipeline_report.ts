/** How a pipeline stands, stage by stage: what `--status` shows, `--dry-run` foretells and a run ends with. */

import type { Decision } from "./decide.ts";
import { type PipelineState, STAGE_NAMES, type StageName } from "./pipeline_state.ts";

/** How a stage stands. */
export interface StageReport {
  stage: StageName;
  /**
   * `waiting`: not done yet; `out of date`: done, and to be done again; `interrupted`: begun and not ended, killed or not;
   * `skipped`: not wanted.
   */
  status: "waiting" | "running" | "done" | "out of date" | "interrupted" | "failed" | "skipped";
  /** What would be done about it, or was; a stage that was not asked for is skipped however it stands. */
  action: "run" | "keep" | "skip";
  why: string;
  /** Null where it was not begun. */
  seconds: number | null;
  /** The files that it made. */
  outputs: string[];
  /** What came out, in a few numbers. */
  result: Record<string, unknown>;
}

/** How a pipeline stands. */
export interface PipelineReport {
  /** The run's folder, absolute; null before it is made. */
  run: string | null;
  config_name: string;
  /** `completed` when every stage is done or skipped; `partial` when some were not asked for, or only looked at. */
  status: "completed" | "partial" | "interrupted" | "running";
  stages: StageReport[];
}

/** The report of a stage from its record and what was decided about it. */
export function stageReport(
  state: PipelineState,
  { stage, action, why }: Pick<Decision, "stage" | "action" | "why">,
  isHeld: boolean,
): StageReport {
  const record = state.stages[stage];
  const status = action === "skip"
    ? "skipped"
    : record === undefined
    ? "waiting"
    : record.status === "running"
    ? isHeld ? "running" : "interrupted"
    : record.status === "done" && action === "run"
    ? "out of date"
    : record.status;
  const { seconds = null, outputs = {}, result = {} } = record ?? {};
  return { stage, status, action, why, seconds, outputs: Object.keys(outputs), result };
}

/** The status of a pipeline whose stages stand like that. */
export function overallStatus(stages: readonly StageReport[]): PipelineReport["status"] {
  const has = (status: StageReport["status"]) => stages.some((stage) => stage.status === status);
  if (has("running")) return "running";
  if (has("interrupted")) return "interrupted";
  const isWhole = STAGE_NAMES.every((name) =>
    stages.some(({ stage, status }) => stage === name && (status === "done" || status === "skipped"))
  );
  return isWhole ? "completed" : "partial";
}
