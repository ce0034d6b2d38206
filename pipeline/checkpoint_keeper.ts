/**
 * A run's checkpoints as the trainer makes them: written from the device tensor by tensor, old ones dropped. A write that
 * fails, such as on a full disk, is told and costs no training: the next one tries again.
 */

import { UserError } from "../common/mod.ts";
import type { Tokenizer } from "../data/mod.ts";
import {
  type AdapterBase,
  discardCheckpointsAfter,
  DTYPE_BYTES,
  parameters,
  pruneCheckpoints,
  stateTensors,
  type TrainableModel,
  writeCheckpoint,
} from "../models/mod.ts";
import { ReadAhead, type Reading } from "./read_ahead.ts";
import type { Recorder } from "./recorder.ts";
import type { TrainingState } from "./training_state.ts";

/** What a keeper works on. */
export interface CheckpointKeeperOptions {
  model: TrainableModel;
  tokenizer: Tokenizer;
  /** Where adapters are trained, the model that they belong to. */
  base: AdapterBase | undefined;
  recorder: Recorder;
  /** How many of the newest stay, beside the best. */
  keep: number;
  /** Step of the checkpoint that the run goes on from. */
  savedStep: number | undefined;
  /** Gets warnings, one line each. */
  warn: (line: string) => void;
}

/** Saves the state of a training. */
export class CheckpointKeeper {
  /** Step of the newest checkpoint; undefined while there is none. */
  savedStep: number | undefined;
  /** The newest checkpoint's folder that this process wrote. */
  path: string | undefined;
  /** Why the last write failed; undefined when it did not. */
  failure: UserError | undefined;
  readonly #options: CheckpointKeeperOptions;

  constructor(options: CheckpointKeeperOptions) {
    this.#options = options;
    this.savedStep = options.savedStep;
  }

  /** Drops checkpoints of later steps than the one that the run goes on from: broken ones, for whole ones are newer. */
  async begin(): Promise<void> {
    await discardCheckpointsAfter(this.#options.recorder.dir, this.savedStep ?? 0);
  }

  /** Writes the checkpoint of a step. A failure is a warning and stands in `failure`. */
  async save(step: number, state: TrainingState): Promise<void> {
    const { model, tokenizer, base, recorder, keep, warn } = this.#options;
    await recorder.flush?.();
    try {
      const { config, options: { optimizer = "adamw" } } = model;
      const ahead = new ReadAhead(readings(model));
      const data = (key: string) =>
        async function* () {
          yield await ahead.take(key);
        };
      this.path = await writeCheckpoint(recorder.dir, {
        step,
        config,
        weight: ({ name }) => data(`value.${name}`),
        optimizer,
        optimizerState: ({ name }) => data(name),
        base,
        tokenizer: tokenizer.toJSON(),
        state,
      });
      this.savedStep = step;
      this.failure = undefined;
      recorder.event({ type: "checkpoint", step });
      await pruneCheckpoints(recorder.dir, keep, state.best?.step);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      if (this.savedStep !== step) this.failure = error;
      const what = this.savedStep === step
        ? "old checkpoints stay"
        : `the checkpoint of step ${step} is not written`;
      recorder.event({ type: "warning", step, message: `${what}: ${error.describe()}` });
      warn(`warning: ${what}: ${error.describe()}`);
    }
  }
}

/** All tensors of a checkpoint in the order in which they are written. */
function readings({ store, config, options }: TrainableModel): Reading[] {
  const size = (shape: number[]) => shape.reduce((product, n) => product * n, 1);
  const trained = parameters(config).filter(({ frozen }) => !frozen);
  return [
    ...trained.map(({ name, shape }) => ({
      key: `value.${name}`,
      bytes: 4 * size(shape),
      read: () => store.read(name),
    })),
    ...stateTensors(config, options.optimizer ?? "adamw").map(({ name, plane, parameter, dtype, shape }) => ({
      key: name,
      bytes: DTYPE_BYTES[dtype] * size(shape),
      read: () => store.readPlane(parameter, plane),
    })),
  ];
}
