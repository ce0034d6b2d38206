/** Where a training's time goes: sums, what is not known, a run that goes on, and a step that is timed on the device. */

import assert from "assert";
import { join } from "path";
import { readJson } from "../../common/mod.ts";
import { readRun } from "../../experiments/mod.ts";
import { prepare } from "../../data/mod.ts";
import { openGpu } from "../../gpu/mod.ts";
import { checkpointPath, TrainableModel, writeInitialWeights } from "../../models/mod.ts";
import { resolveRunConfig } from "../../pipeline/run_config.ts";
import { modelOf } from "../../pipeline/settled_model.ts";
import { StepRunner } from "../../pipeline/step_runner.ts";
import { NO_TIMES, type Times, TrainingTimes } from "../../pipeline/training_times.ts";
import { inFolder, trainIn } from "./training_support.ts";

/** Times on a clock of our own, and what lets it run. */
function staged(before = NO_TIMES): { times: TrainingTimes; pass: (seconds: number) => void } {
  let now = 5000;
  return { times: new TrainingTimes(before, () => now), pass: (seconds) => void (now += 1000 * seconds) };
}

Deno.test("each part has its time, the total has all of it, and what is not known is absent", async () => {
  const { times, pass } = staged();
  assert.equal(times.prepare(() => (pass(2), "batch")), "batch");
  pass(1);
  await times.spend("evaluation", () => Promise.resolve(pass(4)));
  await times.spend("evaluation", () => Promise.resolve(pass(4)));
  await assert.rejects(times.spend("checkpoints", () => {
    pass(3);
    return Promise.reject(new Error("disk"));
  }));
  await times.spend("sampling", () => Promise.resolve(pass(5)));
  times.count(7); // nothing was timed on the device
  assert.deepEqual(times.summary(3), {
    total: 19,
    steps: 3,
    data: 2,
    evaluation: 8,
    sampling: 5,
    checkpoints: 3,
  });
});

Deno.test("steps count like the last one that was timed on the device", () => {
  const { times, pass } = staged();
  times.timed({ forward: 1, backward: 2, recomputed: 0.5, optimizer: 0.5 });
  times.count(4);
  times.timed({ forward: 2, backward: 2, recomputed: 0.5, optimizer: 0.5 });
  times.count(1);
  pass(20);
  const { total, forward, backward, optimizer } = times.summary(20);
  assert.deepEqual({ total, forward, backward, optimizer }, {
    total: 20,
    forward: 6,
    backward: 10,
    optimizer: 2.5,
  });
});

Deno.test("times that a checkpoint holds are gone on from", () => {
  const first = staged();
  first.times.prepare(() => first.pass(2));
  const second = staged(first.times.now());
  second.times.prepare(() => second.pass(3));
  assert.deepEqual(second.times.now(), { ...NO_TIMES, total: 5, data: 5 });
  assert.equal(NO_TIMES.data, 0);
});

Deno.test("a run's summary tells where its time went, also when it has gone on", () =>
  inFolder(async (dir) => {
    const first = await trainIn(dir, { max_steps: 21 }, { pause_at: 14 });
    const file = join(checkpointPath(first.dir, 14), "state.json");
    const { state: { times: held } } = (await readJson(file)) as { state: { times: Times } };
    const run = await trainIn(dir, { max_steps: 21 }, { resume: first.dir });
    const { seconds } = (await readRun(run.dir)).summary as unknown as typeof run;
    assert.deepEqual(seconds, run.seconds);
    const { total, steps, data, evaluation, sampling, checkpoints, ...device } = seconds;
    assert.ok(data > 0 && data < steps && evaluation > 0 && sampling > 0 && checkpoints > 0);
    assert.ok(steps + evaluation + sampling + checkpoints <= total);
    assert.deepEqual(device, {}); // the software adapter's timestamps do not measure
    // On top of what its checkpoint holds, which does not know what it took itself.
    assert.deepEqual([held.data, held.evaluation], [first.seconds.data, first.seconds.evaluation]);
    for (const part of ["total", "data", "evaluation", "sampling", "checkpoints"] as const) {
      assert.ok(seconds[part] >= held[part], part);
    }
  }));

Deno.test("a runner that times steps on the device trains the same", () =>
  inFolder(async (dir) => {
    const dataset = await prepare(join(dir, "corpus.txt"), { processed_dir: join(dir, "processed") });
    const config = await resolveRunConfig({ configPath: join(dir, "tiny.yaml") });
    const gpu = await openGpu();
    if (!gpu.hasTimestamps) return gpu.close();
    const model = modelOf(config, dataset.tokenizer.vocab_size);
    const losses = async (isTiming: boolean) => {
      const trainable = new TrainableModel(gpu, model, config.training);
      writeInitialWeights(trainable.store, model, 1);
      const times = new TrainingTimes(NO_TIMES);
      const seen: number[] = [];
      const runner = new StepRunner({
        model: trainable,
        dataset,
        training: config.training,
        times,
        isTiming,
        onResults: (results) => {
          times.count(results.length);
          seen.push(...results.map(({ loss }) => loss));
        },
      });
      await runner.advance(0, 9, () => false);
      trainable.destroy();
      return { seen, isKnown: times.now().forward !== null };
    };
    const [plain, timed] = [await losses(false), await losses(true)];
    assert.equal(plain.seen.length, 9);
    assert.deepEqual(timed.seen, plain.seen);
    assert.deepEqual([plain.isKnown, timed.isKnown], [false, true]);
    gpu.close();
  }));
