/**
 * Where the trainer reports to. The trainer knows only this interface; the run tracker of `experiments/` is one, and
 * `mod.ts` hands it over. A recorder never throws while a run goes on: what it cannot write costs a warning, no training.
 */

/** What a run reports while it goes on. */
export interface Recorder {
  /** What was measured at a step; losses in nats per token. NaN and Infinity are allowed. */
  metrics(line: { step: number; tokens: number; [name: string]: number }): void;
  /** A text that the model wrote at a step. */
  sample(line: { step: number; prompt: string; text: string }): void;
  /** Something that happened: a checkpoint, a resumption, a warning. */
  event(line: { type: string; step: number; [key: string]: unknown }): void;
  /** Ends the run; nothing is reported after this. */
  finish(status: "completed" | "failed" | "interrupted", summary: Record<string, unknown>): void;
  /** The run's folder, absolute. */
  readonly dir: string;
}
