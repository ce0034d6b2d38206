/** The stage `generate`: texts that the trained model writes. Makes `artifacts/generation.json`. */

import { join } from "path";
import { sha256, writeFileAtomic } from "../../common/mod.ts";
import { runStageJob } from "../stage_session.ts";
import type { Stage } from "./stage.ts";
import type { TrainResult } from "./train.ts";

/** Lets the model write. */
export const generateStage: Stage = {
  name: "generate",
  after: ["train"],
  dependsOn: (key) => key.startsWith("generation."),

  async run(context) {
    const { dir, records, config: { generation } } = context;
    const { checkpoint, steps } = records.train!.result as unknown as TrainResult;
    const written = await runStageJob(
      { type: "generate", model: join(dir, checkpoint), generation },
      context,
    );
    const path = join(dir, "artifacts", "generation.json");
    const text = JSON.stringify({ step: steps, ...generation, ...written }, null, 2) + "\n";
    await writeFileAtomic(path, text);
    const { prompt, samples } = written;
    const tokens = samples.reduce((sum, sample) => sum + sample.tokens, 0);
    const result = { samples: samples.length, tokens, text: prompt + (samples[0]?.text ?? "") };
    return { outputs: [path], digest: sha256(text), result };
  },
};
