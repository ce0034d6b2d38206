/** Variants of GPT-2 through everything that is done with a model: training, resuming, adapters, plan, benchmark, files. */

import assert from "assert";
import { join } from "path";
import { readJson, UserError } from "../../common/mod.ts";
import { adapterBase, openInitialModel } from "../../pipeline/initial_model.ts";
import { type ModelConfig, openModelFolder, parameters, type Weights } from "../../models/mod.ts";
import { exportModel } from "../../pipeline/export_model.ts";
import { importModel } from "../../pipeline/import_model.ts";
import { benchmarkCommand } from "../../pipeline/commands/benchmark.ts";
import { evaluateCommand } from "../../pipeline/commands/evaluate.ts";
import { planCommand } from "../../pipeline/commands/plan.ts";
import { generate, resolveRunConfig } from "../../pipeline/mod.ts";
import { printed } from "./printed.ts";
import { inFolder, measured, TINY_CONFIG, trainIn } from "./training_support.ts";

const [PLAIN] = TINY_CONFIG.match(/^model: .*$/m)!;

/** Everything that may be otherwise in one model, but for sparse attention and ALiBi. */
const MANY = `model: { n_layer: 2, n_head: 4, n_kv_head: 2, n_embd: 32, n_positions: 16, dropout: 0.1,
  position_type: rotary, norm_type: rms_norm, qk_norm: true, mlp_type: swiglu, tie_word_embeddings: false, bias: false }`;

/** The rest. */
const SPARSE = `model: { n_layer: 2, n_head: 2, n_embd: 32, n_positions: 16, dropout: 0.1,
  attention_type: sparse, window: 3, sparsity_factor: 4, position_type: alibi, mlp_type: relu_squared }`;

/** Runs a test in a folder whose `tiny.yaml` describes a variant; paths in it are absolute. */
function withModel(model: string, test: (dir: string) => Promise<void>): Promise<void> {
  return inFolder(async (dir) => {
    const text = TINY_CONFIG.replace(PLAIN, model).replace("corpus.txt", join(dir, "corpus.txt"))
      .replace("processed_dir: processed", `processed_dir: ${join(dir, "processed")}`);
    await Deno.writeTextFile(join(dir, "tiny.yaml"), text);
    await test(dir);
  });
}

/** The one JSON object that a command prints. */
async function json(command: ReturnType<typeof planCommand>, ...args: string[]) {
  return JSON.parse(
    await printed(() => command.exitOverride().parseAsync([...args, "--json"], { from: "user" })),
  );
}

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UserError, `${error}`);
  assert.match(error.describe(), message);
  return true;
};

for (const [name, model] of Object.entries({ MANY, SPARSE })) {
  Deno.test(`a variant learns, goes on bit for bit, writes, and comes out of files as it went in: ${name}`, () =>
    withModel(model, async (dir) => {
      const settings = { max_steps: 12, checkpoint_interval: 4 };
      const whole = await trainIn(dir, settings);
      const losses = measured(whole.dir).flatMap(({ train_loss }) =>
        train_loss === undefined ? [] : Number(train_loss)
      );
      assert.ok(losses.at(-1)! < losses[0]! - 0.2, losses.join());
      const stop = new AbortController();
      const begun = await trainIn(dir, settings, {
        signal: stop.signal,
        onProgress: ({ step }) => step >= 5 && stop.abort(),
      });
      assert.equal(begun.status, "interrupted");
      const run = await trainIn(dir, {}, { resume: begun.dir });
      assert.deepEqual([run.status, run.steps], ["completed", 12]);
      assert.deepEqual(run.model.weights, whole.model.weights);
      assert.deepEqual(measured(run.dir), measured(whole.dir));

      const exported = await exportModel(run.dir, join(dir, "out"));
      assert.match(exported.warnings.join(), /not a GPT-2 .* model_type chatgot/);
      const config = await readJson(join(dir, "out", "config.json")) as Record<string, unknown>;
      assert.equal(config.model_type, "chatgot");
      const card = await Deno.readTextFile(join(dir, "out", "README.md"));
      assert.match(card, /library_name: chatgot/);
      assert.match(card, /other than GPT-2 \| (2 heads of keys and values, rotary|sparse attention)/);
      assert.match(card, /libraries cannot load this model/);
      await importModel(join(dir, "out"), join(dir, "again"));
      using folder = await openModelFolder(join(dir, "again"));
      assert.deepEqual(folder.leftOut, []);
      assert.deepEqual(folder.config, run.model.config);
      assert.deepEqual(folder.weights(), run.model.weights);

      const options = { prompt: "the ", temperature: 0, max_new_tokens: 20 };
      const texts = async (model: Parameters<typeof generate>[0]) =>
        (await Array.fromAsync(generate(model, options))).join("");
      assert.equal(await texts(join(dir, "again")), await texts(run.model));
      const evaluated = async (name: string) =>
        (await json(evaluateCommand(), "--model-path", join(dir, name), "--file", join(dir, "corpus.txt")))
          .loss;
      const loss = await evaluated("out");
      assert.ok(loss > 0);
      assert.equal(await evaluated("again"), loss);
    }));
}

Deno.test("GPT-2 with a head of its own, another MLP and standard attention is a GPT2LMHeadModel", () =>
  withModel(
    "model: { n_layer: 1, n_head: 2, n_embd: 32, n_positions: 16, attention_type: standard, mlp_type: relu_squared, " +
      "n_inner: 40, tie_word_embeddings: false }",
    async (dir) => {
      const run = await trainIn(dir, { max_steps: 2 });
      const exported = await exportModel(run.dir, join(dir, "out"));
      assert.deepEqual(exported.warnings, []);
      const config = await readJson(join(dir, "out", "config.json")) as Record<string, unknown>;
      const { model_type, n_inner, activation_function, tie_word_embeddings } = config;
      assert.deepEqual([model_type, n_inner, activation_function, tie_word_embeddings], [
        "gpt2",
        40,
        "relu2",
        false,
      ]);
      using folder = await openModelFolder(join(dir, "out"));
      const names = folder.files.flatMap(({ tensors }) => [...tensors.keys()]);
      // Beside a head of its own Hugging Face's loader wants its prefix.
      assert.deepEqual(
        names,
        parameters(folder.config).map(({ name }) => name === "lm_head.weight" ? name : `transformer.${name}`),
      );
      assert.deepEqual(folder.config, run.model.config);
      assert.deepEqual(folder.weights(), run.model.weights);
    },
  ));

Deno.test("adapters beside a variant's layers, the gate among them; a layer that there is not is refused", () =>
  withModel(MANY, async (dir) => {
    const base = await trainIn(dir, { max_steps: 2 });
    await exportModel(base.dir, join(dir, "base"));
    const lora = { rank: 2, alpha: 4, targets: ["c_attn" as const, "mlp.c_gate" as const] };
    const settings = { init_from: join(dir, "base"), lora, max_steps: 6, learning_rate: 1e-2 };
    const run = await trainIn(dir, settings);
    const changed = differing(base.model.weights, run.model.weights);
    assert.deepEqual(
      changed,
      [0, 1].flatMap((i) => [`h.${i}.attn.c_attn.weight`, `h.${i}.mlp.c_gate.weight`]),
    );
    const merged = await exportModel(run.dir, join(dir, "merged"), { merge: true });
    assert.match(merged.warnings.join(), /not a GPT-2/);
    using folder = await openModelFolder(join(dir, "merged"));
    assert.deepEqual(folder.weights(), run.model.weights);
    const { model } = await openInitialModel(join(dir, "merged"));
    assert.equal(
      (await adapterBase({ model, tokenizer: undefined, warnings: [] })).path,
      join(dir, "merged"),
    );
    model.close();

    await Deno.writeTextFile(join(dir, "gpt2.yaml"), TINY_CONFIG);
    const gpt2 = await trainIn(dir, { max_steps: 1 }, { model: join(dir, "gpt2.yaml") });
    await assert.rejects(
      trainIn(dir, { ...settings, init_from: gpt2.dir }, { model: join(dir, "gpt2.yaml") }),
      refused(/targets names mlp\.c_gate.*its linear layers are attn\.c_attn, attn\.c_proj, mlp\.c_fc/),
    );
  }));

/** Names of the weights that differ. */
function differing(a: Weights, b: Weights): string[] {
  return [...a].filter(([name, { data }]) => data.some((v, i) => v !== b.get(name)!.data[i])).map(([name]) =>
    name
  );
}

Deno.test("a fine-tuning keeps the shape of a variant; its kind of attention may be another", () =>
  withModel(SPARSE, async (dir) => {
    const base = await trainIn(dir, { max_steps: 1 });
    const resolve = async (...set: [key: string, value: unknown][]): Promise<Partial<ModelConfig>> => {
      const { model } = await resolveRunConfig({
        set: set.map(([key, value]) => ({ path: ["model", key], value, text: "" })) as never,
        flags: { "training.init_from": base.dir },
      });
      return model as Partial<ModelConfig>;
    };
    const same = await resolve();
    assert.deepEqual([same.attention_type, same.window, same.position_type], ["sparse", 3, "alibi"]);
    const dense = await resolve(["attention_type", "standard"]);
    assert.deepEqual([dense.attention_type, dense.window], ["standard", undefined]);
    await assert.rejects(
      resolve(["position_type", "learned"]),
      refused(/position_type is "learned".*says alibi/),
    );
    await assert.rejects(resolve(["rope_theta", 500]), refused(/rope_theta is 500.*says none/));
  }));

Deno.test("plan: standard attention holds a [T, T] matrix for every head of every layer, flash attention none", () =>
  withModel("model: { n_layer: 3, n_head: 4, n_embd: 32, n_positions: 64 }", async (dir) => {
    const flags = ["--config-path", join(dir, "tiny.yaml")];
    const flash = await json(planCommand(), ...flags);
    const standard = await json(planCommand(), ...flags, "--set", "model.attention_type=standard");
    const matrices = 4 * 4 * 64 * 64 * 4; // of a batch of 4, float32
    const more = standard.memory.activations - flash.memory.activations;
    assert.ok(more >= 3 * matrices, `${more} of ${3 * matrices}`);
    type Large = { name: string; bytes: number };
    const weights = standard.largest_tensors.filter(({ name }: Large) =>
      /^h\.\d\/attention\.weights/.test(name)
    );
    assert.deepEqual(weights.map(({ bytes }: Large) => bytes), [matrices, matrices, matrices]);
    assert.ok(!flash.largest_tensors.some(({ bytes }: Large) => bytes === matrices));
    assert.equal(standard.parameters, flash.parameters);
  }));

Deno.test("benchmark: a variant's training, its generation and its products", () =>
  withModel(MANY, async (dir) => {
    const flags = ["--config-path", join(dir, "tiny.yaml"), "--max-steps", "4"];
    for (const what of ["train", "generate"]) {
      const report = await json(benchmarkCommand(), what, ...flags);
      assert.ok(report.tokens_per_second_best > 0 && report.gflops > 0);
    }
  }));
