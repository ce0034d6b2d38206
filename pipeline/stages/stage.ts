/**
 * What a stage of the pipeline is: which keys of the configuration and which files it is made from, and what it makes.
 * The runner (`pipeline.ts`) decides by that alone whether a stage must be done; a stage knows nothing of the others but
 * what came out of them.
 */

import { modelDigest } from "../initial_model.ts";
import type { TrainingPreview } from "../open_training.ts";
import type { StageName, StageRecord } from "../pipeline_state.ts";
import type { RunStore } from "../recorder.ts";
import type { RunConfig } from "../run_config.ts";
import type { TrainingProgress, TrainingResult } from "../training_result.ts";

/** Who is told how a pipeline goes. All may be left out. */
export interface PipelineHooks {
  /** A stage begins, is left as it is, or is not wanted, and why. */
  onStage?: (stage: StageName, action: "run" | "keep" | "skip", why: string) => void;
  /** Long work goes on: bytes of text, batches of an evaluation, tokens of a text. */
  onProgress?: (label: string, done: number, total: number) => void;
  /** The training of the train stage begins or goes on. */
  onTraining?: (preview: TrainingPreview, config: RunConfig, dir: string) => void;
  onTrainingProgress?: (progress: TrainingProgress) => void;
  onTrained?: (result: TrainingResult) => void;
  onSample?: (line: { step: number; prompt: string; text: string }) => void;
  /** A line for people, such as how a trial came out. */
  onNote?: (line: string) => void;
  /** Something that they should know. */
  onWarning?: (line: string) => void;
}

/** Why a stage is to be done. */
export type Reason =
  /** It never was. */
  | "new"
  /** It was begun and not ended. */
  | "unfinished"
  /** Keys of the configuration are others now. */
  | "config"
  /** What it reads is something else now. */
  | "inputs"
  /** What it made is missing or damaged. */
  | "outputs"
  /** It was asked for. */
  | "forced"
  /** It is not to be done: what was made before is to be taken as it is. */
  | "adopted";

/** What a stage works with. */
export interface StageContext {
  /** The run's folder, absolute. */
  dir: string;
  /** The configuration, with what the optimize stage chose once it has. */
  config: RunConfig;
  runs: RunStore;
  reason: Reason;
  /** What was known of the stage before. */
  before: StageRecord | undefined;
  /** Keys of the configuration that are others than before, as `section.key`. */
  changed: readonly string[];
  /** Records of the stages that it comes after. */
  records: Readonly<Partial<Record<StageName, StageRecord>>>;
  /** Seconds that the optimize stage may take. */
  budgetSeconds: number;
  /** Asks the stage to end: it throws `Interrupted` when its work is safe. */
  signal: AbortSignal;
  hooks: PipelineHooks;
}

/** What came out of a stage. */
export interface StageResult {
  /** Paths of the files that it made, absolute. */
  outputs: string[];
  /** What later stages depend on: it is the same exactly when they need not be done again. */
  digest: string;
  /** What came out, in a few numbers. Plain data. */
  result: Record<string, unknown>;
}

/** A stage of the pipeline. */
export interface Stage {
  readonly name: StageName;
  /** Stages whose outputs it reads. */
  readonly after: readonly StageName[];
  /** Whether its outputs depend on a key of the configuration, `section.key`. */
  dependsOn(key: string, config: RunConfig): boolean;
  /** Digests of files that it reads and that no stage makes, by what they are. */
  sources?(config: RunConfig): Promise<Record<string, string>>;
  /**
   * Puts away what was made before, where it is no part of what is to be made. Called before the stage is on record as begun
   * anew, so that what is found after a kill is never taken for what it is not.
   */
  discard?(context: StageContext): Promise<void>;
  /** Does it. Throws `Interrupted` when it was asked to end, `UserError` for what is the user's to mend. */
  run(context: StageContext): Promise<StageResult>;
}

/** The model that training begins with, for `sources` of stages that read it; nothing where it begins with new weights. */
export async function initialModelSource(
  { training: { init_from } }: RunConfig,
): Promise<Record<string, string>> {
  return init_from === undefined ? {} : { init_from: await modelDigest(init_from) };
}

/** Thrown by a stage that ended because it was asked to. */
export class Interrupted extends Error {
  override name = "Interrupted";
}
