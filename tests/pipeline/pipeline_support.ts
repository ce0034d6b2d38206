/** What the tests of the pipeline share: a config of few steps, the pipeline in this process, and a look at what it left. */

import assert from "assert";
import { join, resolve } from "path";
import { sha256 } from "../../common/mod.ts";
import { createRun, latestRun, readRun, reserveRun, resumeRun } from "../../experiments/mod.ts";
import { checkpointPath } from "../../models/mod.ts";
import { runPipeline } from "../../pipeline/pipeline.ts";
import { type PipelineRequest, planPipeline } from "../../pipeline/pipeline_plan.ts";
import type { PipelineReport } from "../../pipeline/pipeline_report.ts";
import { type PipelineState, readState, type StageName } from "../../pipeline/pipeline_state.ts";
import type { PipelineHooks } from "../../pipeline/stages/stage.ts";
import { inFolder } from "./training_support.ts";

/** Steps of a training. */
export const STEPS = 24;

const CONFIG = `
model: { n_layer: 1, n_head: 2, n_embd: 16, n_positions: 16, dropout: 0.1 }
data: { corpus: corpus.txt, processed_dir: processed }
training:
  max_steps: ${STEPS}
  batch_size: 4
  learning_rate: 3.0e-3
  warmup_steps: 5
  log_interval: 1
  eval_interval: 10
  eval_batches: 2
  sample_interval: 0
  checkpoint_interval: 5
generation: { prompt: "the ", max_new_tokens: 6 }
tracking: { runs_dir: runs, monitor_interval: 0 }
`;

const runs = { createRun, latestRun, readRun, reserveRun, resumeRun };

/** A folder with a corpus and a config, and the pipeline in it. */
export interface PipelineFolder {
  dir: string;
  /** Runs the pipeline to its end. */
  run(request?: PipelineRequest, hooks?: PipelineHooks): Promise<PipelineReport & { run: string }>;
  /** Says what it would do. */
  plan(request?: PipelineRequest): Promise<PipelineReport>;
  /** Changes a file of the folder. */
  edit(file: string, change: (text: string) => string): Promise<void>;
}

/** Runs a test in a folder of its own with `corpus.txt` and `tiny.yaml`. */
export function withPipeline(test: (folder: PipelineFolder) => Promise<void>): Promise<void> {
  return inFolder(async (dir) => {
    const runs_dir = { "tracking.runs_dir": join(dir, "runs") };
    const data = { "data.corpus": join(dir, "corpus.txt"), "data.processed_dir": join(dir, "processed") };
    const full = ({ flags, resume, ...request }: PipelineRequest): PipelineRequest => ({
      ...(resume === undefined ? { configPath: join(dir, "tiny.yaml") } : { resume }),
      flags: { ...runs_dir, ...data, ...flags },
      ...request,
    });
    await test({
      dir,
      run: async (request = {}, hooks = {}) => {
        const report = await runPipeline(full(request), runs, hooks);
        return { ...report, run: report.run! };
      },
      plan: (request = {}) => planPipeline(full(request), runs),
      edit: async (file, change) => {
        const path = resolve(dir, file);
        const before = await Deno.readTextFile(path);
        const after = change(before);
        assert.notEqual(after, before, `${file} is unchanged`);
        await Deno.writeTextFile(path, after);
      },
    });
  }, CONFIG);
}

/** Names of the stages that were, or would be, done. */
export function doneStages({ stages }: PipelineReport): StageName[] {
  return stages.filter(({ action }) => action === "run").map(({ stage }) => stage);
}

/** Digests of the weights and the optimizer's state that a run ended with. */
export function finalState(run: string, steps = STEPS): string[] {
  return ["model.safetensors", "optimizer.safetensors"].map((file) =>
    sha256(Deno.readFileSync(join(checkpointPath(run, steps), file)))
  );
}

let undisturbed: string[] | undefined;

/** The final state of a run that nothing disturbs. The same in every folder, so it is trained once. */
export async function undisturbedState(): Promise<string[]> {
  if (undisturbed === undefined) {
    await withPipeline(async ({ run }) => {
      const { run: resume } = await run({ stage: "process" });
      await run({ resume, stage: "train" });
      undisturbed = finalState(resume);
    });
  }
  return undisturbed!;
}

/** Flips a bit in the middle of a file. */
export async function damage(file: string): Promise<void> {
  const bytes = await Deno.readFile(file);
  bytes[bytes.length >> 1]! ^= 1;
  await Deno.writeFile(file, bytes);
}

/** A run's state, once it is there and says so; throws when the process ends before. */
export async function reachedState(
  run: () => string,
  child: Deno.ChildProcess,
  isReached: (state: PipelineState) => boolean,
): Promise<void> {
  let hasEnded = false;
  child.status.then(() => hasEnded = true);
  while (!hasEnded) {
    const state = await Promise.resolve().then(() => readState(run())).catch(() => undefined);
    if (state !== undefined && isReached(state)) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error("the process ended before it came so far");
}
