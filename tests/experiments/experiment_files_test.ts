/** Files of experiments: what they mean, and that every mistake is one error with its place. No run is begun. */

import assert from "assert";
import { join } from "path";
import { parseSetting, UserError } from "../../common/mod.ts";
import { readExperiment } from "../../experiments/runner/experiment_config.ts";
import { runConfigOf, variantsOf } from "../../experiments/runner/variants.ts";
import { inFolder } from "../pipeline/training_support.ts";

const CONFIGS = join(import.meta.dirname!, "../../configs/experiments");

/** All run configs of an experiment's file, of its first seed. */
async function resolve(path: string, ...set: string[]) {
  const file = await readExperiment(path, set.map(parseSetting));
  const variants = await variantsOf(file);
  const configs = [];
  for (const variant of variants) {
    configs.push(await runConfigOf(variant, file.config, { seed: file.config.seeds[0]!, name: "x" }));
  }
  return { file, variants, configs };
}

/** Writes an experiment into a folder with `tiny.yaml` and resolves it. */
async function resolveText(dir: string, text: string, ...set: string[]) {
  const path = join(dir, "experiment.yaml");
  await Deno.writeTextFile(path, text);
  return await resolve(path, ...set);
}

Deno.test("a key's value is the last of run config, training, params, sweep and --set", () =>
  inFolder(async (dir) => {
    const { variants, configs, file } = await resolveText(
      dir,
      `
models:
  - { name: a, config: tiny.yaml }
  - name: b
    config: tiny.yaml
    params:
      model: { n_layer: 1, n_head: 4 }
      training.batch_size: 3
      data.split_ratio: 0.8
training: { batch_size: 2, learning_rate: 0.5, beta1: 0.5 }
sweep:
  parameters: { training.learning_rate: [0.01, 0.02] }
monitoring: { evaluations: 4, checkpoints: 1 }
`,
      "training.beta1=0.7",
      "budget.tokens=1000",
    );
    assert.equal(file.config.name, "experiment"); // the file's name
    assert.deepEqual(file.config.budget, { tokens: 1000 });
    assert.deepEqual(variants.map(({ name }) => name), [
      "a learning_rate=0.01",
      "a learning_rate=0.02",
      "b learning_rate=0.01",
      "b learning_rate=0.02",
    ]);
    assert.deepEqual(
      configs.map(({ model, training, data }) => [
        model.n_layer,
        model.n_head,
        data.split_ratio,
        training.batch_size,
        training.learning_rate,
        training.beta1,
      ]),
      [[2, 2, 0.9, 2, 0.01, 0.7], [2, 2, 0.9, 2, 0.02, 0.7], [1, 4, 0.8, 3, 0.01, 0.7], [
        1,
        4,
        0.8,
        3,
        0.02,
        0.7,
      ]],
    );
    const { training, tracking } = configs[0]!;
    assert.deepEqual([training.eval_interval, training.checkpoint_interval, training.seed], [15, 30, 1]);
    assert.equal(tracking.monitor_interval, 5);
    const early = await resolveText(
      dir,
      "models: [{ name: a, config: tiny.yaml }]\ntraining: { eval_interval: 7 }",
    );
    assert.equal(early.configs[0]!.training.eval_interval, 7);
  }));

const MODELS = "models:\n  - name: a\n    config: tiny.yaml\n";

Deno.test("mistakes are one error that names file and line", () =>
  inFolder(async (dir) => {
    const wrong: [text: string, line: number | undefined, message: RegExp][] = [
      ["modles: []\n", 1, /unknown key "modles", did you mean "models"/],
      ["name: x\n", undefined, /models is missing/],
      ["models: []\n", 1, /models: expected a list of at least 1/],
      [MODELS + "name: a/b\n", 4, /name: expected text of letters/],
      [
        "models:\n  - name: a\n    config: nowhere.yaml\n",
        3,
        /models\.0\.config: there is no file nowhere\.yaml/,
      ],
      [MODELS + "  - name: a\n    config: tiny.yaml\n", 4, /two models named "a"/],
      [
        MODELS + "    params:\n      model.n_layre: 3\n",
        5,
        /unknown key "n_layre" in model, did you mean "n_layer"/,
      ],
      [MODELS + "    params:\n      model:\n        n_embd: 33\n", 6, /33 is not divisible by n_head/],
      [MODELS + "    params:\n      modle.n_layer: 3\n", 5, /unknown key "modle"/],
      [MODELS + "    params:\n      data: nowhere.yaml\n", 5, /data: there is no file nowhere\.yaml/],
      [MODELS + "training:\n  lerning_rate: 1\n", 5, /unknown key "lerning_rate"/],
      [MODELS + "training:\n  seed: 3\n", 5, /training\.seed cannot be set here/],
      [MODELS + "    params:\n      tracking.name: x\n", 5, /tracking\.name cannot be set here/],
      [
        MODELS + "training:\n  max_steps: 3\nbudget:\n  tokens: 5\n",
        5,
        /training\.max_steps cannot be set here/,
      ],
      [MODELS + "seeds: [1, 2, 1]\n", 4, /1 is there twice/],
      [MODELS + "seeds: [-1]\n", 4, /at least 0/],
      [MODELS + "budget:\n  tokens: 5\n  flops: 3\n", 4, /exactly one of tokens, flops and seconds/],
      [MODELS + "budget: {}\n", 4, /exactly one of tokens, flops and seconds/],
      [MODELS + "budget:\n  tokens: 0\n", 5, /more than 0/],
      [MODELS + "sweep:\n  parameters:\n    training.lr: [1, 2]\n", 6, /unknown key "lr" in training/],
      [
        MODELS + "sweep:\n  parameters:\n    training.learning_rate: [1, -2]\n",
        6,
        /learning_rate: expected .* more than 0/,
      ],
      [
        MODELS + "sweep:\n  parameters:\n    training.learning_rate: 3\n",
        6,
        /learning_rate: expected a list or a section of keys, got 3/,
      ],
      [
        MODELS + "sweep:\n  parameters:\n    training.beta1: { min: 0, max: 0.9 }\n",
        6,
        /a grid needs a list/,
      ],
      [
        MODELS + "sweep:\n  method: random\n  parameters:\n    training.beta1: { min: 0, max: 0.9 }\n",
        4,
        /trials is missing/,
      ],
      [
        MODELS +
        "sweep:\n  method: random\n  trials: 2\n  parameters:\n    training.beta1: { min: 0.9, max: 0.1 }\n",
        8,
        /0\.1 is not more than min 0\.9/,
      ],
      [MODELS + "sweep:\n  trials: 3\n  parameters: { training.beta1: [0.5] }\n", 5, /is not used by a grid/],
      [MODELS + "sweep:\n  parameters: {}\n", 5, /at least one key/],
      [MODELS + "metrics: [loss]\n", 4, /metrics\.0: expected one of "val_bits_per_byte"/],
      [MODELS + "name: [\n", undefined, /is not valid YAML/],
      ["- a list\n", undefined, /expected a section of keys/],
    ];
    for (const [text, line, message] of wrong) {
      await assert.rejects(resolveText(dir, text), (error) => {
        assert.ok(error instanceof UserError, `${text}: ${error}`);
        assert.match(error.message, message, text);
        assert.match(error.file ?? "", /experiment\.yaml$/, text);
        if (line !== undefined) assert.equal(error.line, line, `${text}: ${error.describe()}`);
        assert.ok(!error.describe().includes("\n"));
        return true;
      });
    }
  }));

Deno.test("a missing file, and a broken run config, are told as theirs", () =>
  inFolder(async (dir) => {
    await assert.rejects(resolve(join(dir, "none.yaml")), /no such file/);
    await Deno.writeTextFile(join(dir, "broken.yaml"), "model:\n  n_layer: many\n");
    await assert.rejects(
      resolveText(dir, "models: [{ name: a, config: broken.yaml }]"),
      (error) =>
        error instanceof UserError && error.file?.endsWith("broken.yaml") === true && error.line === 2,
    );
  }));

Deno.test("the experiments that are shipped resolve, with several seeds and different variants each", async () => {
  const names = Array.from(Deno.readDirSync(CONFIGS), ({ name }) => name).sort();
  assert.deepEqual(names, [
    "attention_variants.yaml",
    "char_vs_subword.yaml",
    "lr_sweep.yaml",
    "quickstart.yaml",
  ]);
  for (const name of names) {
    const { file, configs } = await resolve(join(CONFIGS, name));
    assert.equal(`${file.config.name}.yaml`, name);
    assert.ok(file.config.seeds.length > 1 && file.config.description.length > 50, name);
    const different = new Set(configs.map(({ tracking: _runs, ...config }) => JSON.stringify(config)));
    assert.ok(configs.length > 1 && different.size === configs.length, name);
  }
});
