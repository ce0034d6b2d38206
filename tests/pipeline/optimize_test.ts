/** The search for settings: what is tried, what fits a budget, what is chosen; and that a choice, once made, stays. */

import assert from "assert";
import { basename, dirname, join } from "path";
import fc from "fast-check";
import { readJson } from "../../common/mod.ts";
import { readRun } from "../../experiments/mod.ts";
import { checkpointSteps } from "../../models/mod.ts";
import { trainingConfig, trainingSectionSchema } from "../../pipeline/config.ts";
import { batches, candidates, shortTraining } from "../../pipeline/optimize/candidates.ts";
import { best, better, type Costs, planHalving } from "../../pipeline/optimize/halving.ts";
import type { SearchReport } from "../../pipeline/optimize/search.ts";
import { chooseBatch, type MeasuredBatch } from "../../pipeline/optimize/throughput.ts";
import { damage, doneStages, withPipeline } from "./pipeline_support.ts";

const config = (keys: Record<string, unknown> = {}) => trainingConfig(trainingSectionSchema.parse(keys), 64);

Deno.test("batches() cuts a step in every way that keeps its sequences, the configuration's own among them", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 12 }), (size, count) => {
    const own = { batch_size: size, accumulate_grad_batches: count };
    const all = batches(own);
    for (const each of all) assert.equal(each.batch_size * each.accumulate_grad_batches, size * count);
    assert.ok(all.some((each) => each.batch_size === size && each.accumulate_grad_batches === count));
    const divisors = Array.from({ length: size * count }, (_, i) => i + 1).filter((n) =>
      size * count % n === 0
    );
    const allowed = divisors.filter((n) => size * count / n < 256);
    assert.deepEqual(all.map(({ batch_size }) => batch_size), allowed);
  }));
});

Deno.test("candidates() begins with the configuration's own settings and repeats none", () => {
  for (
    const keys of [{}, { warmup_steps: 0 }, { weight_decay: 0 }, {
      learning_rate: 1e-5,
      min_learning_rate: 0,
    }]
  ) {
    const own = config(keys);
    const all = candidates(own);
    const { learning_rate, min_learning_rate, weight_decay, warmup_steps } = own;
    assert.deepEqual(all[0], { learning_rate, min_learning_rate, weight_decay, warmup_steps });
    assert.equal(new Set(all.map((each) => JSON.stringify(each))).size, all.length);
    assert.equal(all.length, 8);
    for (const each of all) {
      assert.ok(each.min_learning_rate <= each.learning_rate && each.weight_decay >= 0);
      // Each is a configuration that would be accepted.
      trainingSectionSchema.parse({ ...each });
    }
  }
});

Deno.test("shortTraining() keeps the proportions of the whole training", () => {
  const whole = config({ max_steps: 1000, warmup_steps: 100, early_stopping_patience: 3 });
  const short = shortTraining(whole, { steps: 50, interval: 25 });
  assert.deepEqual([short.max_steps, short.warmup_steps, short.decay_steps], [51, 5, 10]);
  assert.equal(short.early_stopping_patience, undefined);
  assert.deepEqual([short.sample_interval, short.checkpoint_interval], [0, 0]);
  assert.equal(shortTraining(config({ warmup_steps: 0 }), { steps: 50, interval: 25 }).warmup_steps, 0);
});

Deno.test("planHalving() fills its time and no more, counted trial by trial", () => {
  /** What a search costs, as it goes through its rungs. */
  const costOf = (begin: number, rungs: readonly number[], { start, step, evaluation }: Costs) => {
    let [seconds, going, before] = [0, begin, 0];
    for (const rung of rungs) {
      const evaluations = (rung - before) / rungs[0]!;
      for (let i = 0; i < going; i++) seconds += start + (rung - before) * step + evaluations * evaluation;
      [going, before] = [going / 2, rung];
    }
    return { seconds, left: going };
  };
  const costs = fc.record({
    start: fc.double({ min: 0.01, max: 10, noNaN: true }),
    step: fc.double({ min: 0.001, max: 1, noNaN: true }),
    evaluation: fc.double({ min: 0.001, max: 5, noNaN: true }),
  });
  const limits = fc.record({
    most: fc.integer({ min: 2, max: 8 }),
    maxSteps: fc.integer({ min: 10, max: 5000 }),
  });
  let planned = 0;
  fc.assert(
    fc.property(fc.double({ min: 1, max: 600, noNaN: true }), costs, limits, (seconds, costs, limits) => {
      const plan = planHalving(seconds, costs, limits);
      if (plan === undefined) {
        assert.ok(limits.maxSteps < 10 || costOf(2, [10], costs).seconds > seconds * (1 - 1e-9));
        return;
      }
      planned++;
      const { candidates, rungs } = plan;
      const found = costOf(candidates, rungs, costs);
      assert.equal(found.left, 1); // two were compared at the last rung
      assert.ok(Math.abs(found.seconds - plan.seconds) < 1e-6 * seconds, `${found.seconds} ${plan.seconds}`);
      assert.ok(found.seconds <= seconds * (1 + 1e-9));
      assert.ok(rungs[0]! >= 10 && rungs.at(-1)! <= limits.maxSteps && candidates <= limits.most);
      const longer = rungs.map((rung) => rung / rungs[0]! * (rungs[0]! + 1));
      assert.ok(
        longer.at(-1)! > limits.maxSteps || costOf(candidates, longer, costs).seconds > seconds * (1 - 1e-9),
      );
    }),
  );
  assert.ok(planned > 10);
});

Deno.test("halving finds the best where ranks hold, and never what failed", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 100 }), { minLength: 8, maxLength: 8 }), (ranks) => {
      const finals = ranks.map((rank, i) => i > 0 && rank % 5 === 0 ? NaN : rank);
      const losses: number[][] = finals.map(() => []);
      const due: number[] = [];
      let going = finals.map((_, i) => i);
      for (let rung = 0; rung < 3; rung++) {
        due.push(going.length);
        for (const i of going) losses[i]!.push(finals[i]! / (rung + 1));
        going = better(losses.map((each) => ({ losses: each })), rung);
        if (going.length === 0) break;
      }
      const least = Math.min(...finals.filter(Number.isFinite));
      assert.equal(finals[best(losses.map((each) => ({ losses: each })), due)!], least);
    }),
  );
  // Equals: the earlier, which is the configuration's own.
  assert.equal(best([{ losses: [2] }, { losses: [2] }], [2]), 0);
  // A rung that not all reached decides nothing.
  assert.equal(best([{ losses: [3, 1] }, { losses: [2] }], [2, 2]), 1);
  assert.equal(best([{ losses: [NaN] }, { losses: [] }], [2]), undefined);
});

Deno.test("chooseBatch() takes the fastest, and the configuration's own unless another is clearly faster", () => {
  const measured = (tokens_per_second: number | null, batch_size: number): MeasuredBatch => ({
    batch_size,
    accumulate_grad_batches: 12 / batch_size,
    tokens_per_second,
    memory_bytes: 1,
    run: null,
    status: tokens_per_second === null ? "refused" : "reached",
    why: null,
  });
  const chosen = (...rates: (number | null)[]) => {
    const sizes = [4, 6, 12];
    return chooseBatch(rates.map((rate, i) => measured(rate, sizes[i]!))).batch_size;
  };
  assert.equal(chosen(100, 101, 90), 4);
  assert.equal(chosen(100, 120, 110), 6);
  assert.equal(chosen(100, 120, 121), 12);
  assert.equal(chosen(null, 5, null), 6);
  assert.equal(chosen(100, null, null), 4);
});

Deno.test("with no time at all the configuration's own is tried; the choice stays whatever comes", () =>
  withPipeline(async ({ run, plan, edit }) => {
    await edit(
      "tiny.yaml",
      (text) => text.replace("batch_size: 4", "batch_size: 2\n  accumulate_grad_batches: 3"),
    );
    const { run: resume } = await run({ stage: "process" });
    assert.equal((await plan({ resume })).stages[1]!.status, "skipped");
    const searched = await run({ resume, stage: "optimize", optimizationTimeBudget: 0.001 });
    assert.deepEqual(doneStages(searched), ["optimize"]);
    const file = join(resume, "artifacts", "optimization.json");
    const report = await readJson(file) as SearchReport;
    assert.equal(report.batches.length, 1);
    assert.equal(report.batches[0]!.status, "reached");
    assert.ok(report.batches[0]!.tokens_per_second! > 0 && report.batches[0]!.memory_bytes! > 0);
    assert.deepEqual(report.left_out, [
      "batch size 3, 6: no time",
      "batch size 1: no time",
      "learning rate, weight decay and warmup: no time to compare two trainings",
    ]);
    assert.deepEqual(report.choice, {
      "training.batch_size": 2,
      "training.accumulate_grad_batches": 3,
      "training.learning_rate": 0.003,
      "training.min_learning_rate": 0.003 / 10,
      "training.weight_decay": 0.1,
      "training.warmup_steps": 5,
    });
    // The trial is a run of its own that names the run it was for, without its weights.
    const trial = join(dirname(resume), report.batches[0]!.run!);
    const record = await readRun(trial);
    assert.deepEqual([record.status, record.config_name], ["completed", "tiny_trial"]);
    assert.deepEqual(record.parents, [basename(resume)]);
    assert.deepEqual(await checkpointSteps(trial), []);

    // Neither another budget nor damage nor a second look changes it.
    const before = await Deno.readTextFile(file);
    const kept = await plan({ resume, optimizationTimeBudget: 100 });
    assert.equal(kept.stages[1]!.action, "keep");
    await damage(file);
    assert.deepEqual(doneStages(await run({ resume, stage: "optimize" })), ["optimize"]);
    assert.equal(await Deno.readTextFile(file), before);
    assert.equal((await plan({ resume, skipOptimization: true })).stages[1]!.action, "keep");
    // What it was made for does.
    assert.equal((await plan({ resume, flags: { "training.weight_decay": 0.2 } })).stages[1]!.action, "run");
    assert.equal((await plan({ resume, flags: { "training.max_steps": 30 } })).stages[1]!.action, "keep");
    await assert.rejects(plan({ resume, skipOptimization: true, autoOptimize: true }), /contradicts/);
  }));
