/** The stage `evaluate`: how well the trained model predicts the whole validation split. Makes `artifacts/evaluation.json`. */

import { join } from "path";
import { sha256, writeFileAtomic } from "../../common/mod.ts";
import { runStageJob } from "../stage_session.ts";
import type { ProcessResult } from "./process.ts";
import type { Stage } from "./stage.ts";
import type { TrainResult } from "./train.ts";

/** Evaluates the model. */
export const evaluateStage: Stage = {
  name: "evaluate",
  after: ["process", "train"],
  dependsOn: (key) => key === "training.max_seq_length",

  async run(context) {
    const { dir, records, config: { training: { batch_size, max_seq_length } } } = context;
    const { checkpoint } = records.train!.result as unknown as TrainResult;
    const report = await runStageJob({
      type: "evaluate",
      model: join(dir, checkpoint),
      dataset: (records.process!.result as unknown as ProcessResult).folder,
      settings: { split: "val", batch_size, max_seq_length },
    }, context);
    const path = join(dir, "artifacts", "evaluation.json");
    const text = JSON.stringify(report, null, 2) + "\n";
    await writeFileAtomic(path, text);
    const { loss, perplexity, bits_per_byte, tokens } = report;
    return { outputs: [path], digest: sha256(text), result: { loss, perplexity, bits_per_byte, tokens } };
  },
};
