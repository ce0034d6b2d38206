/**
 * A training seen from the main thread: starts the worker, makes the run's folder when the worker is ready, writes down
 * what it reports, and hands on how it goes. Signals and the display are the command's.
 */

import type { KernelTime } from "../gpu/mod.ts";
import { fromPlainError, type FromWorker, type ToWorker } from "./messages.ts";
import type { TrainingJob, TrainingPreview } from "./open_training.ts";
import type { Recorder } from "./recorder.ts";
import type { TrainingProgress, TrainingResult } from "./training_result.ts";
import { endBusyWorker, endIdleWorker, freeIdleWorker } from "./worker_end.ts";

/** What a session is told and whom it tells. */
export interface TrainSessionOptions {
  job: TrainingJob;
  /**
   * Called when the training could begin: makes the run's recorder, or goes on with the run's. Undefined ends the session
   * there, before anything is allocated.
   */
  begin: (preview: TrainingPreview) => Promise<Recorder | undefined>;
  onProgress?: (progress: TrainingProgress) => void;
  onSample?: (line: { step: number; prompt: string; text: string }) => void;
  onEvent?: (line: { type: string; step: number; [key: string]: unknown }) => void;
  onWarning?: (line: string) => void;
  /** Gets what is done before the training can begin, one line each. */
  onNote?: (line: string) => void;
  /** Gets the times of a step's kernels after the end, when the job asks for them. */
  onProfile?: (times: KernelTime[]) => void;
}

/** One training in a worker. */
export class TrainSession {
  readonly #o: TrainSessionOptions;
  readonly #worker: Worker;
  /** Shared with the worker, which looks at it between steps. */
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #cancelled = Promise.withResolvers<undefined>();
  #isCancelled = false;
  #recorder: Recorder | undefined;

  constructor(options: TrainSessionOptions) {
    this.#o = options;
    freeIdleWorker();
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  }

  /** Whether the run has begun: before, there is nothing to save. */
  get hasBegun(): boolean {
    return this.#recorder !== undefined;
  }

  /** Asks the worker to end after the running step and to save its state. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1);
  }

  /** Ends at once: nothing more is saved, the run is recorded as interrupted, and `run` gives undefined. */
  cancel(): void {
    this.#isCancelled = true;
    this.abandon();
    this.#cancelled.resolve(undefined);
  }

  /** Marks the run as interrupted, when the process is about to end without waiting for the worker. */
  abandon(): void {
    this.#recorder?.finish("interrupted", {});
  }

  /**
   * Trains to the end.
   *
   * @returns how it ended; undefined when `begin` gave no recorder, or it was cancelled
   * @throws UserError for what is the user's to mend; the run is then recorded as failed
   */
  async run(): Promise<TrainingResult | undefined> {
    try {
      const trained = new Promise<TrainingResult | undefined>((resolve, reject) => {
        this.#worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(`the training worker failed: ${event.message}`));
        };
        this.#worker.onmessage = (event: MessageEvent<FromWorker>) =>
          this.#hear(event.data, resolve).catch(reject);
        this.#post({ type: "open", job: this.#o.job, stop: this.#stop });
      });
      return await Promise.race([trained, this.#cancelled.promise]);
    } catch (error) {
      this.#recorder?.finish("failed", { error: error instanceof Error ? error.message : String(error) });
      throw error;
    } finally {
      await (this.#isCancelled ? endBusyWorker : endIdleWorker)(this.#worker);
    }
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  async #hear(message: FromWorker, end: (result: TrainingResult | undefined) => void): Promise<void> {
    const { begin, onProgress, onSample, onEvent, onWarning, onNote } = this.#o;
    switch (message.type) {
      case "opened":
        this.#recorder = await begin(message.preview);
        if (this.#isCancelled) this.abandon();
        else if (this.#recorder === undefined) end(undefined);
        else this.#post({ type: "begin", dir: this.#recorder.dir });
        break;
      case "metrics":
        this.#recorder?.metrics(message.line);
        break;
      case "sample":
        this.#recorder?.sample(message.line);
        onSample?.(message.line);
        break;
      case "event":
        this.#recorder?.event(message.line);
        onEvent?.(message.line);
        break;
      case "flush":
        await this.#recorder?.flush?.();
        this.#post({ type: "flushed" });
        break;
      case "finish":
        this.#recorder?.finish(message.status, message.summary);
        break;
      case "progress":
        onProgress?.(message.progress);
        break;
      case "warning":
        onWarning?.(message.line);
        break;
      case "note":
        onNote?.(message.line);
        break;
      case "done":
        if (message.profile !== undefined) this.#o.onProfile?.(message.profile);
        end(message.result);
        break;
      case "failed":
        throw fromPlainError(message.error);
    }
  }
}
