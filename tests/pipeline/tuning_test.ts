/** Tuned tiles in training: the file of winners, runs that take them and keep them whatever becomes of the file, and the command. */

import assert from "assert";
import { dirname, join } from "path";
import { readRun } from "../../experiments/mod.ts";
import { openGpu, type TunedKernel } from "../../gpu/mod.ts";
import { trainingPlan } from "../../models/mod.ts";
import { cacheFile, type MeasuredAdapter } from "../../pipeline/adapter_cache.ts";
import { flopsPerStep } from "../../pipeline/plan_report.ts";
import { resolveRunConfig } from "../../pipeline/run_config.ts";
import { modelOf } from "../../pipeline/settled_model.ts";
import { startSeconds, tunedGpu } from "../../pipeline/start_tuning.ts";
import { keepTuned, knownChoices, TUNING_FILE } from "../../pipeline/tuning_cache.ts";
import { chatgot, inFolder, measured, trainIn } from "./training_support.ts";

const TILE = {
  form: "direct" as const,
  tile_m: 4,
  tile_n: 4,
  k_unroll: 4,
  workgroup: [16, 1] as [number, number],
};

/** What the tuner says of a kernel whose tile is not what tests look at. */
function tuned(kernel: string, choice: TunedKernel["choice"], tried = 5): TunedKernel {
  const site = { op: "matmul", mode: "NN", M: 4, N: 4, K: 4, bias: false, half: false } as const;
  const found = { calls: 1, flops: 1, default_seconds: 2, seconds: 1, wrong: 0, default: TILE };
  return { ...found, site, kernel, choice, tried };
}

const adapter = (name: string): MeasuredAdapter => ({
  adapter: { name, vendor: "1", architecture: "", features: [] },
  profile: "gpu",
  operands: "buffer",
});

Deno.test("winners are kept by adapter and kernel; a file that is torn or not ours is none, with one warning", async () => {
  const runs = await Deno.makeTempDir();
  const file = cacheFile(runs, TUNING_FILE);
  const warnings: string[] = [];
  const known = (name: string) => knownChoices(adapter(name), runs, (line) => warnings.push(line));
  assert.deepEqual(await known("card"), {});
  const attention = { queries: 2, keys: 2, workgroup: 16, heads: 1 };
  await keepTuned(adapter("card"), runs, [tuned("matmul NN 4x4x4", TILE)]);
  await keepTuned(adapter("card"), runs, [tuned("attention keys B1 T4 H1 hd4", attention)]);
  await keepTuned(adapter("other"), runs, [tuned("matmul NN 4x4x4", { ...TILE, tile_m: 8 })]);
  assert.deepEqual(await known("card"), {
    "matmul NN 4x4x4": TILE,
    "attention keys B1 T4 H1 hd4": attention,
  });
  assert.deepEqual(await known("other"), { "matmul NN 4x4x4": { ...TILE, tile_m: 8 } });

  await keepTuned(adapter("other"), runs, [tuned("matmul NN 4x4x4", TILE, 1)]); // nothing beside the default
  assert.deepEqual(await known("other"), { "matmul NN 4x4x4": { ...TILE, tile_m: 8 } });
  await keepTuned(adapter("other"), runs, [tuned("matmul NN 4x4x4", TILE, 5)]);
  assert.deepEqual(await known("other"), { "matmul NN 4x4x4": TILE });
  assert.deepEqual(warnings, []);

  const whole = await Deno.readTextFile(file);
  for (const text of [whole.slice(0, -20), "[1]", whole.replace('"direct"', '"sideways"')]) {
    await Deno.writeTextFile(file, text);
    assert.deepEqual(await known("card"), {});
    assert.match(
      warnings.splice(0).join("\n"),
      /^warning: .*tuning\.json is torn or not ours and is left aside.*$/,
    );
  }
  await keepTuned(adapter("card"), runs, [tuned("matmul NN 4x4x4", attention)]); // a tile of another op
  assert.deepEqual(await known("card"), {});
  const blocked = join(runs, "file"); // where no folder can be, nothing is kept and nothing fails
  await Deno.writeTextFile(blocked, "");
  await keepTuned(adapter("card"), blocked, [tuned("matmul NN 4x4x4", TILE)]);
  await Deno.remove(runs, { recursive: true });
});

Deno.test("a hundredth of the training's time is for tuning, half a minute at most, nothing of a short one", () => {
  assert.equal(startSeconds(1e15, 1e12), 10);
  assert.equal(startSeconds(1e18, 1e12), 30);
  assert.equal(startSeconds(1.9e14, 1e12), 0);
});

Deno.test("a run takes tuned tiles, and goes on with them bit for bit when the file has changed", () =>
  inFolder(async (dir) => {
    const training = { max_steps: 6, eval_interval: 3, sample_interval: 0, checkpoint_interval: 0 };
    const tilesOf = async (run: string) =>
      (await readRun(run)).kernel_choices.tiles as Record<string, TunedKernel["choice"]>;

    const plain = (await trainIn(dir, training)).dir;
    const standard = await tilesOf(plain);
    // Two slices of K round otherwise than one.
    const chosen = Object.entries(standard).filter(([key]) => /TN .* bias/.test(key))
      .map(([key, tile]) => tuned(key, { ...tile, splits: 2 } as TunedKernel["choice"]));
    assert.ok(chosen.length > 0);
    const gpu = await openGpu();
    gpu.close();
    const runs = join(dir, "runs");
    await keepTuned(gpu, runs, chosen);

    const whole = (await trainIn(dir, training)).dir;
    const expected = { ...standard, ...Object.fromEntries(chosen.map((k) => [k.kernel, k.choice])) };
    assert.deepEqual(await tilesOf(whole), expected);
    assert.notDeepEqual(measured(whole), measured(plain));

    const begun = (await trainIn(dir, training, { pause_at: 4 })).dir;
    await Deno.remove(dirname(cacheFile(runs, TUNING_FILE)), { recursive: true });
    const resumed = (await trainIn(dir, {}, { resume: begun })).dir;
    assert.equal(resumed, begun);
    assert.deepEqual(measured(begun), measured(whole));
    assert.deepEqual(await tilesOf(begun), expected);

    await keepTuned(gpu, runs, chosen);
    const untuned = (await trainIn(dir, { ...training, tune: false })).dir;
    assert.deepEqual(await tilesOf(untuned), standard);
    assert.deepEqual(measured(untuned), measured(plain));
  }));

Deno.test("a long run tunes what nothing is known of, and takes what was found; a short one and a look do not", () =>
  inFolder(async (dir) => {
    const config = await resolveRunConfig({
      configPath: join(dir, "tiny.yaml"),
      flags: { "training.max_steps": 1e9, "tracking.runs_dir": join(dir, "runs") },
    });
    const model = modelOf(config, 30);
    const gpu = await openGpu();
    const notes: string[] = [];
    const tunedFor = async (max_steps: number, isFinding = true) => {
      const of = { ...config, training: { ...config.training, max_steps } };
      const hooks = { note: (line: string) => notes.push(line), warn: assert.fail, isFinding };
      return (await tunedGpu(gpu, model, of, hooks)).choices;
    };
    try {
      assert.deepEqual(await tunedFor(60), {});
      assert.deepEqual(await tunedFor(1e9, false), {});
      assert.deepEqual(notes, []);
      const plan = trainingPlan(model, config.training, gpu);
      const steps = Math.ceil(2.1 * 2e11 / 0.01 / flopsPerStep(model, config.training, plan, gpu)); // for 2.1 s
      const found = await tunedFor(steps);
      assert.match(
        notes.join(),
        /^tuning kernels for this machine, \S+ at most \(--no-tune leaves it out\)$/,
      );
      assert.ok(Object.keys(found!).length > 0);
      assert.deepEqual(await tunedFor(60), found); // from the file
    } finally {
      gpu.close();
    }
  }));

Deno.test("tune finds tiles for a config, keeps them and says what they give", () =>
  inFolder(async (dir) => {
    const found = await chatgot(
      dir,
      "tune",
      "--config-path",
      "tiny.yaml",
      "--seconds",
      "1",
      "--batch-size",
      "2",
      "--json",
    );
    assert.equal(found.code, 0, found.err);
    const report = JSON.parse(found.out);
    assert.ok(report.kernels.length > 0 && report.kernels_total >= report.kernels.length);
    for (const { kernel, calls, default_seconds, seconds, tried } of report.kernels) {
      assert.match(
        kernel,
        /^(matmul (NN|NT|TN) \d+x\d+x\d+|attention (forward|queries|keys) B2 T16 H2 hd16)/,
      );
      assert.ok(calls > 0 && tried > 0 && seconds > 0 && seconds <= default_seconds);
    }
    const gpu = await openGpu();
    gpu.close();
    const known = await knownChoices(gpu, join(dir, "runs"), assert.fail);
    assert.deepEqual(Object.keys(known).sort(), report.kernels.map((k: TunedKernel) => k.kernel).sort());
    const wrong = await chatgot(dir, "tune", "--config-path", "tiny.yaml", "--seconds", "soon");
    assert.deepEqual([wrong.code, wrong.err], [1, 'error: --seconds: expected a number, got "soon"\n']);
  }));
