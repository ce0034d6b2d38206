/**
 * The worker that evaluates and generates for the pipeline: the device makes its thread wait, so the main thread keeps
 * signals, files and the display. Entry point of its own; `stage_session.ts` starts it.
 */

import { openDataset } from "../data/mod.ts";
import { openGpu } from "../gpu/mod.ts";
import { evaluationReport } from "./evaluation_report.ts";
import { toPlainError } from "./messages.ts";
import type { FromStageWorker, StageJob } from "./stage_session.ts";
import { findModel, TextModel } from "./text_model.ts";
import { writeSamples } from "./write_samples.ts";

const post = (message: FromStageWorker) => self.postMessage(message);

async function work(job: StageJob): Promise<object> {
  const { loaded } = await findModel(job.model);
  if (job.type === "evaluate") {
    const dataset = await openDataset(job.dataset);
    const progress = (done: number, total: number) => post({ type: "progress", done, total });
    return await evaluationReport(loaded, dataset, { ...job.settings, progress });
  }
  using model = new TextModel(await openGpu(), loaded, job.generation);
  const total = job.generation.max_new_tokens * job.generation.num_samples;
  let done = 0;
  const onPiece = () => post({ type: "progress", done: ++done, total });
  return (await writeSamples(model, job.generation, { onPiece }))!;
}

self.onmessage = async ({ data }: MessageEvent<StageJob>) => {
  try {
    post({ type: "done", report: await work(data) });
  } catch (error) {
    post({ type: "failed", error: toPlainError(error) });
  }
};
