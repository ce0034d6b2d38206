import assert from "assert";
import { basename, join, relative } from "path";
import { parseSetting, UserError, userPath } from "../../common/mod.ts";
import { modelConfig, modelSectionSchema, parameterCount } from "../../models/mod.ts";
import {
  generationSectionSchema,
  trackingSectionSchema,
  trainingSectionSchema,
} from "../../pipeline/config.ts";
import { resolveRunConfig, toYaml } from "../../pipeline/run_config.ts";

const configs = join(import.meta.dirname!, "../../configs");

/** Runs `body` with a folder that holds the given files. */
async function withFiles(files: Record<string, string>, body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(dir, name), text);
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const resolve = (configPath: string | undefined, set: string[] = [], flags: Record<string, unknown> = {}) =>
  resolveRunConfig({ configPath, set: set.map(parseSetting), flags });

/** The error that resolving a single file gives. */
async function errorOf(
  text: string,
  set: string[] = [],
  flags: Record<string, unknown> = {},
): Promise<UserError> {
  let caught: unknown;
  await withFiles({ "run.yaml": text }, async (dir) => {
    try {
      await resolve(join(dir, "run.yaml"), set, flags);
    } catch (error) {
      caught = error;
    }
  });
  assert.ok(caught instanceof UserError, `${caught}`);
  assert.ok(!caught.describe().includes("\n"));
  return caught;
}

Deno.test("the last of default, data file, file, --set and flag wins", () =>
  withFiles({
    "data.yaml": "data: {corpus: sotu, split_ratio: 0.8}\ntraining: {max_steps: 2, batch_size: 3, seed: 4}\n",
    "run.yaml": "data: data.yaml\ntraining: {batch_size: 30, seed: 40, warmup_steps: 50}\n",
  }, async (dir) => {
    const { training, data, tracking } = await resolve(join(dir, "run.yaml"), [
      "training.seed=400",
      "training.warmup_steps=500",
      "data.split_ratio=0.7",
    ], { "training.warmup_steps": 5000, "training.log_interval": undefined });
    assert.equal(training.log_interval, 10);
    assert.equal(training.max_steps, 2);
    assert.equal(training.batch_size, 30);
    assert.equal(training.seed, 400);
    assert.equal(training.warmup_steps, 5000);
    assert.deepEqual([data.corpus, data.split_ratio], ["sotu", 0.7]);
    assert.equal(tracking.name, "run");
  }));

Deno.test("the path of the data file starts where the user stands, else beside the file", () =>
  withFiles({
    "here.yaml": "data: {corpus: here.txt}\n",
    "run.yaml": "data: here.yaml\n",
  }, async (dir) => {
    assert.equal((await resolve(join(dir, "run.yaml"))).data.corpus, "here.txt");
    const fromHere = relative(userPath("."), join(configs, "data/sotu_char.yaml"));
    assert.equal((await resolve(join(dir, "run.yaml"), [`data=${fromHere}`])).data.corpus, "sotu");
  }));

Deno.test("what depends on other keys is filled in, and what is given stands", async () => {
  const { training } = await resolve(undefined, [
    "model.n_positions=32",
    "training.learning_rate=0.5",
    "training.max_steps=50",
  ]);
  assert.deepEqual([training.max_seq_length, training.min_learning_rate, training.decay_steps], [
    32,
    0.05,
    10,
  ]);
  const given = await resolve(undefined, [
    "training.max_seq_length=8",
    "training.min_learning_rate=0",
    "training.decay_steps=0",
  ]);
  assert.deepEqual(
    [given.training.max_seq_length, given.training.min_learning_rate, given.training.decay_steps],
    [8, 0, 0],
  );
});

Deno.test("what was resolved, written as YAML, resolves to the same again", async () => {
  const config = await resolve(join(configs, "models/chatgot_small_char.yaml"), [
    'generation.prompt="\\n é: \\"x\\" # no comment\\n"',
    "generation.stop=[a, '\\n\\n', 'null']",
    "training.early_stopping_patience=3",
    "model.vocab_size=128",
    "tracking.name=null-1",
  ]);
  await withFiles({ "again.yaml": toYaml(config) }, async (dir) => {
    assert.deepEqual(await resolve(join(dir, "again.yaml")), config);
  });
});

Deno.test("an empty file and an empty section are defaults", () =>
  withFiles({ "run.yaml": "training:\n", "empty.yaml": "" }, async (dir) => {
    const { tracking: _, ...defaults } = await resolve(undefined);
    for (const name of ["run.yaml", "empty.yaml"]) {
      const { tracking: _, ...config } = await resolve(join(dir, name));
      assert.deepEqual(config, defaults);
    }
  }));

Deno.test("mistakes in a file are told with file and line", async () => {
  const cases: [string, number, RegExp][] = [
    ["model:\n  n_layer: 2\n  n_heads: 2\n", 3, /unknown key "n_heads".*did you mean "n_head"/],
    [
      "training:\n  max_steps: 3\ntrainig:\n  max_steps: 3\n",
      3,
      /unknown key "trainig".*did you mean "training"/,
    ],
    ["training:\n\n  max_steps: many\n", 3, /training\.max_steps.*"many"/],
    ["training:\n  max_steps: 0\n", 2, /training\.max_steps.*at least 1.*got 0/],
    ["training:\n  lr_schedule: cosin\n", 2, /lr_schedule.*did you mean "cosine"/],
    ["training:\n  learning_rate: .nan\n", 2, /training\.learning_rate/],
    [
      "training:\n  learning_rate: 0.1\n  min_learning_rate: 0.2\n",
      3,
      /0\.2 is more than learning_rate 0\.1/,
    ],
    ["model:\n  n_head: 4\n  n_embd: 130\n", 3, /n_embd.*130 is not divisible by n_head 4/],
    ["training:\n  max_seq_length: 65\n", 2, /max_seq_length 65.*n_positions 64/],
    ["data:\n  split_ratio: 2\n", 2, /data\.split_ratio/],
    ["model: 3\n", 1, /model.*section/],
    ["tracking:\n  name: a/b\n", 2, /tracking\.name/],
    ["training:\n  seed: -1\n", 2, /training\.seed/],
    ["- model\n", 1, /section/],
    ["experiment: {}\n", 1, /unknown key "experiment"/],
  ];
  for (const [text, line, message] of cases) {
    const error = await errorOf(text);
    assert.equal(basename(error.file ?? ""), "run.yaml");
    assert.match(error.message, message);
    assert.equal(error.line, line, text);
  }
});

Deno.test("mistakes in a data file are told with that file's line", () =>
  withFiles({
    "data.yaml": "data:\n  corpus: sotu\n  splitratio: 0.8\n",
    "more.yaml": "data:\n  corpus: sotu\ntraining:\n  max_steps: []\n",
    "extra.yaml": "data:\n  corpus: sotu\nextra: 1\n",
    "run.yaml": "training:\n  seed: 3\ndata: data.yaml\n",
    "run2.yaml": "training:\n  seed: 3\ndata: more.yaml\n",
    "run3.yaml": "training:\n  seed: 3\ndata: extra.yaml\n",
    "run4.yaml": "training:\n  seed: 3\ndata: none.yaml\n",
  }, async (dir) => {
    const cases = [
      ["run.yaml", "data.yaml", 3],
      ["run2.yaml", "more.yaml", 4],
      ["run3.yaml", "extra.yaml", 3],
      ["run4.yaml", "run4.yaml", 3],
    ] as const;
    for (const [run, file, line] of cases) {
      await assert.rejects(resolve(join(dir, run)), (error) => {
        assert.ok(error instanceof UserError);
        assert.deepEqual([basename(error.file ?? ""), error.line], [file, line], error.describe());
        return true;
      });
    }
  }));

Deno.test("mistakes of the command line are told with the flag, whatever stands in the file", async () => {
  const file = "training:\n  max_steps: 5\n";
  const cases: [string[], Record<string, unknown>, RegExp][] = [
    [["training.max_step=3"], {}, /^--set training\.max_step: unknown key.*did you mean "max_steps"/],
    [["training.max_steps=3.5"], {}, /^--set training\.max_steps: .*whole number, got 3\.5/],
    [["training.max_steps=3"], { "training.max_steps": -3 }, /^--max-steps: .*at least 1, got -3/],
    [["trainin.max_steps=3"], {}, /^--set trainin\.max_steps: .*did you mean "training"/],
    [["model=3"], {}, /^--set model: .*section/],
    [["data=none.yaml"], {}, /^--set data: .*none\.yaml/],
    [["training.max_steps.x=3"], {}, /--set training\.max_steps\.x: training\.max_steps is not a section/],
    [["training.max_seq_length=100"], {}, /^--set training\.max_seq_length: .*100.*n_positions 64/],
  ];
  for (const [set, flags, message] of cases) {
    const error = await errorOf(file, set, flags);
    assert.match(error.describe(), message);
    assert.equal(error.line, undefined);
  }
});

for (
  const [name, millions] of [["chatgot_tiny_char", 0.81], ["baby_char", 10.8], [
    "chatgot_small_char",
    85.9,
  ]] as const
) {
  Deno.test(`configs/models/${name}.yaml resolves, has its size, and shows every key`, async () => {
    const path = join(configs, "models", `${name}.yaml`);
    const { model, data, tracking } = await resolve(path);
    assert.equal(data.corpus, "moby-dick");
    assert.equal(tracking.name, name);
    const parameters = parameterCount(modelConfig(model, 90));
    assert.ok(Math.abs(parameters / (millions * 1e6) - 1) < 0.01, `${parameters} parameters`);
    const text = await Deno.readTextFile(path);
    const schemas = [
      modelSectionSchema,
      trainingSectionSchema,
      generationSectionSchema,
      trackingSectionSchema,
    ];
    for (const schema of schemas) {
      for (const key of Object.keys(schema.shape)) {
        assert.match(text, new RegExp(`^  (# )?${key}: `, "m"), key);
      }
    }
  });
}

Deno.test("every field has a description, which errors give as a hint", () => {
  const schemas = [modelSectionSchema, trainingSectionSchema, generationSectionSchema, trackingSectionSchema];
  for (const schema of schemas) {
    for (const [key, field] of Object.entries(schema.toJSONSchema({ io: "input" }).properties!)) {
      assert.ok((field as { description?: string }).description, key);
    }
  }
});
