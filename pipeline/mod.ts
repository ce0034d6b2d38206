/** The door of `pipeline/`: what is done to a model, and the configuration of a run. */
export type { Attention } from "./attention.ts";
export { pipelineCommands } from "./commands.ts";
export * from "./config.ts";
export { evaluateModel, type Evaluation, type EvaluationSettings } from "./evaluate_model.ts";
export { generateText, type TextEnd, type TextOptions, unknownCharacters } from "./generate_text.ts";
export * from "./recorder.ts";
export * from "./run_config.ts";
export * from "./schedule.ts";
export { type OpenTraining, openTraining, type TrainingJob, type TrainingPreview } from "./open_training.ts";
export { type TrainedRun, type TrainOptions, trainWith } from "./train.ts";
export { beginRun } from "./resume.ts";
export { type PlanReport, planReport } from "./plan_report.ts";
export { TrainSession, type TrainSessionOptions } from "./train_session.ts";
export type { TrainingProgress, TrainingResult } from "./training_result.ts";
export { findModel, type FoundModel, generate, TextModel } from "./text_model.ts";
export { ModelSession, openSession, type SessionOptions, type StepLine } from "./model_session.ts";
export type { ValidationLoss } from "./probe.ts";
