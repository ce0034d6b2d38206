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

/** What is known of a new run when it begins. */
export interface RunDescription {
  /** The folder that holds all runs, absolute. */
  runs_dir: string;
  /** Name of the configuration, which begins the name of the run's folder. */
  config_name: string;
  /** The user's own name for the run. @default config_name */
  name?: string;
  /** Id of the run that this one belongs to, such as a trial to its search. */
  parent?: string;
  /** The resolved configuration as YAML. */
  config_yaml: string;
  seed: number;
  /** The adapter's name. */
  adapter: string;
  /** What was chosen for kernels; a resumed run uses the same. */
  kernel_choices: Record<string, unknown>;
}
