/** What the main thread and the training worker say to each other: plain data. */

import { UserError } from "../common/mod.ts";
import type { KernelTime } from "../gpu/mod.ts";
import type { TrainingJob, TrainingPreview } from "./open_training.ts";
import type { Recorder } from "./recorder.ts";
import type { TrainingProgress, TrainingResult } from "./training_result.ts";

/** To the worker. */
export type ToWorker =
  /** Open a training; `stop` is shared with the main thread. */
  | { type: "open"; job: TrainingJob; stop: Int32Array }
  /** Begin: the run's folder is there. */
  | { type: "begin"; dir: string }
  /** All that was reported is written. */
  | { type: "flushed" };

/** From the worker. */
export type FromWorker =
  /** The training could begin. */
  | { type: "opened"; preview: TrainingPreview }
  | { type: "metrics"; line: Parameters<Recorder["metrics"]>[0] }
  | { type: "sample"; line: Parameters<Recorder["sample"]>[0] }
  | { type: "event"; line: Parameters<Recorder["event"]>[0] }
  | {
    type: "finish";
    status: Parameters<Recorder["finish"]>[0];
    summary: Parameters<Recorder["finish"]>[1];
  }
  /** Say when all that was reported is written. */
  | { type: "flush" }
  | { type: "progress"; progress: TrainingProgress }
  | { type: "warning"; line: string }
  /** What is done before the training can begin. */
  | { type: "note"; line: string }
  | { type: "done"; result: TrainingResult; profile?: KernelTime[] }
  | { type: "failed"; error: PlainError };

/** An error as plain data: classes do not pass between threads. */
export interface PlainError {
  isUserError: boolean;
  message: string;
  file: string | undefined;
  line: number | undefined;
  hint: string | undefined;
  stack: string | undefined;
}

/** An error as plain data. */
export function toPlainError(error: unknown): PlainError {
  const { file, line, hint } = error instanceof UserError ? error : {} as Partial<UserError>;
  return {
    isUserError: error instanceof UserError,
    message: error instanceof Error ? error.message : String(error),
    file,
    line,
    hint,
    stack: error instanceof Error ? error.stack : undefined,
  };
}

/** The error again. */
export function fromPlainError({ isUserError, message, stack, file, line, hint }: PlainError): Error {
  const error = isUserError
    ? new UserError(message, {
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
      ...(hint === undefined ? {} : { hint }),
    })
    : new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
