/** An evaluation with all that it was made with: what `chatgot evaluate --json` prints and the pipeline keeps. */

import { displayPath } from "../common/mod.ts";
import type { Dataset, Split } from "../data/mod.ts";
import { openGpu } from "../gpu/mod.ts";
import type { LoadedModel } from "../models/mod.ts";
import { evaluateModel, type Evaluation, type EvaluationSettings } from "./evaluate_model.ts";

/** How well a model did on what. */
export interface EvaluationReport extends Evaluation {
  model_path: string;
  /** Steps that the model was trained; null where it does not say. */
  step: number | null;
  /** Name of the text. */
  data: string;
  /** Part of the corpus; null for a text of its own. */
  split: Split | null;
  batch_size: number;
  max_seq_length: number;
  stride: number;
  adapter: string;
}

/** Opens a device, evaluates a model over a whole split, and closes it. */
export async function evaluationReport(
  loaded: LoadedModel,
  dataset: Dataset,
  settings: EvaluationSettings,
): Promise<EvaluationReport> {
  const { split, batch_size, max_seq_length, stride = max_seq_length } = settings;
  const gpu = await openGpu();
  try {
    return {
      model_path: displayPath(loaded.path),
      step: loaded.step ?? null,
      data: dataset.header.name,
      split,
      ...await evaluateModel(gpu, loaded, dataset, settings),
      batch_size,
      max_seq_length,
      stride,
      adapter: gpu.adapter.name,
    };
  } finally {
    gpu.close();
  }
}
