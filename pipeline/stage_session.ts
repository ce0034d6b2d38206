/** An evaluation or a generation in a worker, seen from the main thread. */

import { ensureAdapter } from "../gpu/mod.ts";
import type { GenerationConfig } from "./config.ts";
import type { EvaluationSettings } from "./evaluate_model.ts";
import type { EvaluationReport } from "./evaluation_report.ts";
import { fromPlainError, type PlainError } from "./messages.ts";
import { Interrupted, type StageContext } from "./stages/stage.ts";
import { endBusyWorker, endIdleWorker, freeIdleWorker } from "./worker_end.ts";
import type { Samples } from "./write_samples.ts";

/** What the worker is to do. Plain data. */
export type StageJob =
  | {
    type: "evaluate";
    /** Folder of the model. */
    model: string;
    /** Folder of the prepared dataset. */
    dataset: string;
    settings: Omit<EvaluationSettings, "progress">;
  }
  | { type: "generate"; model: string; generation: GenerationConfig };

/** What the worker says. */
export type FromStageWorker =
  | { type: "progress"; done: number; total: number }
  | { type: "done"; report: object }
  | { type: "failed"; error: PlainError };

/** What a job gives. */
export type StageReport<J extends StageJob> = J extends { type: "evaluate" } ? EvaluationReport : Samples;

/**
 * Does a job in a worker.
 *
 * @throws Interrupted when the context's signal came; UserError for what is the user's to mend
 */
export async function runStageJob<J extends StageJob>(
  job: J,
  { signal, hooks }: Pick<StageContext, "signal" | "hooks">,
): Promise<StageReport<J>> {
  await ensureAdapter(hooks.onWarning === undefined ? {} : { log: hooks.onWarning });
  freeIdleWorker();
  const worker = new Worker(new URL("./stage_worker.ts", import.meta.url), { type: "module" });
  const stop = Promise.withResolvers<never>();
  const onAbort = () => stop.reject(new Interrupted());
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  const report = new Promise<StageReport<J>>((resolve, reject) => {
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`the worker failed: ${event.message}`));
    };
    worker.onmessage = ({ data }: MessageEvent<FromStageWorker>) => {
      if (data.type === "progress") hooks.onProgress?.(job.type, data.done, data.total);
      else if (data.type === "failed") reject(fromPlainError(data.error));
      else resolve(data.report as StageReport<J>);
    };
    worker.postMessage(job);
  });
  try {
    return await Promise.race([report, stop.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    await (signal.aborted ? endBusyWorker : endIdleWorker)(worker);
  }
}
