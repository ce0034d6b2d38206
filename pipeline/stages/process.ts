/** The stage `process`: the corpus, cut into tokens. Makes the prepared dataset, which runs of the same text share. */

import { join } from "path";
import { exists, sha256, sha256File, userPath } from "../../common/mod.ts";
import { corpusDigest, type Dataset, DATASET_FILES, prepare, type PrepareOptions } from "../../data/mod.ts";
import { openInitialModel } from "../initial_model.ts";
import type { RunConfig } from "../run_config.ts";
import { initialModelSource, Interrupted, type Reason, type Stage } from "./stage.ts";

/** Keys that say which windows of the tokens are trained on, and change no token. */
const WINDOWS = ["data.sequence_length", "data.stride", "data.shuffle"];

/** What this stage's record says came out. */
export interface ProcessResult {
  /** The dataset's folder, absolute. */
  folder: string;
  name: string;
  vocab_size: number;
  train_tokens: number;
  val_tokens: number;
}

/** Cuts the corpus into tokens. */
export const processStage: Stage = {
  name: "process",
  after: [],

  dependsOn: (key) => (key.startsWith("data.") && !WINDOWS.includes(key)) || key === "training.init_from",

  async sources(config) {
    const { data } = config;
    return {
      corpus: await corpusDigest(data.corpus),
      ...(data.tokenizer_file === null
        ? {}
        : { tokenizer_file: await sha256File(userPath(data.tokenizer_file)) }),
      // A model that training begins with brings its tokenizer.
      ...await initialModelSource(config),
    };
  },

  async run({ config, reason, signal, hooks }) {
    const dataset = await datasetOf(config, {
      kept: KEPT[reason],
      signal,
      onProgress: ({ stage, done, total }) => hooks.onProgress?.(stage, Math.min(done, total), total),
    }).catch((error) => {
      throw signal.aborted ? new Interrupted() : error;
    });
    const { folder, header, tokenizer } = dataset;
    const files = Object.values(DATASET_FILES).map((name) => join(folder, name));
    const outputs = (await Promise.all(files.map(async (file) => await exists(file) ? [file] : []))).flat();
    const result: ProcessResult = {
      folder,
      name: header.name,
      vocab_size: tokenizer.vocab_size,
      train_tokens: dataset.train.length,
      val_tokens: dataset.val.length,
    };
    const { tokens_digest, splits } = header;
    const digest = sha256(JSON.stringify([tokens_digest, splits, tokenizer.toJSON()]));
    return { outputs, digest, result: { ...result } };
  },
};

/** What a reason makes of a dataset that was prepared before, perhaps for another run. */
const KEPT: Record<Reason, NonNullable<PrepareOptions["kept"]>> = {
  new: "take",
  unfinished: "take",
  config: "take",
  inputs: "take",
  outputs: "remake",
  forced: "remake",
  adopted: "require",
};

/** The dataset as training would prepare it: with the tokenizer of the model that it begins with, if it does. */
async function datasetOf(
  { data, training: { init_from } }: RunConfig,
  options: PrepareOptions,
): Promise<Dataset> {
  if (init_from === undefined) return await prepare(data, {}, options);
  const { model, tokenizer } = await openInitialModel(init_from);
  model.close();
  return await prepare(data, {}, tokenizer === undefined ? options : { ...options, tokenizer });
}
