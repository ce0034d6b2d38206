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
  /**
   * Settles when all that was reported is written. Asked for before a checkpoint, which must never know of more than the
   * lines tell. Left out where a report is written at once.
   */
  flush?(): Promise<void>;
  /** Ends the run; nothing is reported after this. */
  finish(status: "completed" | "failed" | "interrupted", summary: Record<string, unknown>): void;
  /** The run's folder, absolute. */
  readonly dir: string;
}

/** What is known of a new run before its training begins. */
export interface NewRun {
  /** The folder that holds all runs, absolute. */
  runs_dir: string;
  /** Name of the configuration, which begins the name of the run's folder. */
  config_name: string;
  /** The user's own name for the run. @default config_name */
  name?: string;
  /** Id of the run that this one belongs to, such as a trial to its search, or of several. */
  parent?: string | string[];
  /** Labels of the user's. @default [] */
  tags?: string[];
  /** Words of the user's. @default "" */
  notes?: string;
  /** The resolved configuration as YAML. */
  config_yaml: string;
  /** Null for what needs none. */
  seed: number | null;
}

/** What is known of a run when its training begins. */
export interface TrainingDescription {
  /** Null where nothing is drawn. */
  seed: number | null;
  /** The adapter's name. */
  adapter: string;
  /** What else identifies the adapter. */
  adapter_info?: { vendor: string; architecture: string; driver: string | null; features: string[] };
  /** What was chosen for kernels; a resumed run uses the same. */
  kernel_choices: Record<string, unknown>;
  /** The model's parameters. */
  parameters?: number;
  /** Floating-point operations that training takes for each token. */
  flops_per_token?: number;
  /** Seconds from one look at the machine to the next; 0: none. @default 0 */
  monitor_interval?: number;
}

/** What is known of a new run whose training begins at once. */
export interface RunDescription extends NewRun, TrainingDescription {}

/** Where runs are kept: begins them, goes on with them and finds them. The run tracker of `experiments/` is one. */
export interface RunStore {
  /** Begins a run; `warn` gets what cannot be written later. Throws `UserError` if its folder cannot be made. */
  createRun(description: RunDescription, options?: { warn?: (line: string) => void }): Promise<Recorder>;
  /**
   * Makes the folder of a run whose training begins later, by `resumeRun` at step 0, and returns it. Until then its status
   * is `created`. Throws `UserError` if that cannot be.
   */
  reserveRun(description: NewRun): Promise<string>;
  /**
   * Goes on with a run from a step: lines of later steps are set aside. `training` is noted of a run that begins, or begins
   * anew, at step 0, `config_yaml` replaces its configuration. Throws if another process trains it.
   */
  resumeRun(
    dir: string,
    step: number,
    options?: { warn?: (line: string) => void; training?: TrainingDescription; config_yaml?: string },
  ): Promise<Recorder>;
  /** What is known of a run. Throws `UserError` if the folder holds none. */
  readRun(dir: string): Promise<
    {
      config_name: string;
      /** Ids of the runs that it belongs to. */
      parents: string[];
      /** Null before training began. */
      adapter: string | null;
      kernel_choices: Record<string, unknown>;
      status: string;
      summary: Record<string, unknown>;
    }
  >;
  /** Folder of the run that was begun last, of this configuration if one is given; runs that belong to another do not count. */
  latestRun(runsDir: string, configName?: string): Promise<string | undefined>;
}
