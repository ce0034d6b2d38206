/** Training that begins with a model there is already: weights, shape and tokenizer are that model's. */

import assert from "assert";
import { join } from "path";
import { parse } from "yaml";
import { UserError } from "../../common/mod.ts";
import { CharTokenizer } from "../../data/mod.ts";
import { loadModel, modelConfig } from "../../models/mod.ts";
import { resolveRunConfig } from "../../pipeline/mod.ts";
import { exportModel } from "../../pipeline/export_model.ts";
import { readPlainSafetensors, writeFolder } from "../models/hugging_face_folder.ts";
import { train, type TrainedRun, type TrainOptions } from "../../mod.ts";
import { corpus, inFolder, measured } from "./training_support.ts";

const SHAPE = { n_layer: 2, n_head: 2, n_embd: 32, n_positions: 16 };
const TOKENIZER = CharTokenizer.fromTexts([corpus(), "0123456789"]); // ten more than the corpus has

/** A config that says nothing of the model. */
const CONFIG = `
data: { corpus: corpus.txt, processed_dir: processed }
training:
  max_steps: 6
  batch_size: 4
  learning_rate: 1.0e-3
  warmup_steps: 0
  log_interval: 1
  eval_interval: 0
  sample_interval: 0
  checkpoint_interval: 3
generation: { prompt: "the ", max_new_tokens: 5 }
tracking: { runs_dir: runs }
`;

/** A folder with a model to begin with, `base/`, of half precision and shards. */
function withBase(test: (dir: string, base: string) => Promise<void>): Promise<void> {
  return inFolder(async (dir) => {
    const base = join(dir, "base");
    await writeFolder(base, {
      config: modelConfig({ ...SHAPE, dropout: 0.1 }, TOKENIZER.vocab_size + 2),
      dtype: "F16",
      shards: 9,
      prefix: "transformer.",
      extras: true,
    });
    await Deno.writeTextFile(join(base, "chatgot_tokenizer.json"), JSON.stringify(TOKENIZER.toJSON()));
    // Relative paths start where the tests run.
    const config = CONFIG.replace("corpus.txt", join(dir, "corpus.txt")).replace(
      "processed_dir: processed",
      `processed_dir: ${join(dir, "processed")}`,
    );
    await Deno.writeTextFile(join(dir, "tiny.yaml"), config);
    await test(dir, base);
  }, CONFIG);
}

/** Trains in the folder; the corpus is cut by training itself. */
function trainIn(
  dir: string,
  training: NonNullable<TrainOptions["training"]>,
  options: TrainOptions = {},
): Promise<TrainedRun> {
  const model = join(dir, "tiny.yaml");
  return train({ model, training, runs_dir: join(dir, "runs"), warn: () => {}, ...options });
}

/** All that might be otherwise than in GPT-2, as a run that began with one writes it down. */
const GPT2 = {
  attention_type: "memory_efficient",
  n_kv_head: SHAPE.n_head,
  position_type: "learned",
  norm_type: "layer_norm",
  qk_norm: false,
  mlp_type: "gelu",
  n_inner: 4 * SHAPE.n_embd,
  tie_word_embeddings: true,
  bias: true,
};

Deno.test("the first weights, the shape and the tokenizer are those of the model that training begins with", () =>
  withBase(async (dir, base) => {
    // Steps too small to move a weight.
    const still = { max_steps: 1, learning_rate: 1e-30, min_learning_rate: 0, weight_decay: 0 };
    const run = await trainIn(dir, { ...still, init_from: base });
    const { weights } = await loadModel(base);
    assert.deepEqual(run.model.weights, weights);
    assert.deepEqual(run.model.tokenizer, TOKENIZER.toJSON());
    const saved = parse(await Deno.readTextFile(join(run.dir, "config.yaml")));
    const { initializer_range: _, layer_norm_epsilon: __, ...shape } = saved.model;
    assert.deepEqual(shape, {
      ...SHAPE,
      vocab_size: TOKENIZER.vocab_size + 2,
      dropout: 0,
      embd_pdrop: 0.1,
      resid_pdrop: 0.1,
      attn_pdrop: 0.1,
      ...GPT2,
    });
    assert.equal(saved.training.init_from, base);
  }));

Deno.test("a fine-tuning goes on bit for bit, even when the model that it began with is gone", () =>
  withBase(async (dir, base) => {
    const whole = await trainIn(dir, { init_from: base, max_steps: 6 });
    // The schedule is that of six steps from the start; only the end comes early.
    const stop = new AbortController();
    const begun = await trainIn(dir, { init_from: base, max_steps: 6 }, {
      signal: stop.signal,
      onProgress: ({ step }) => step >= 3 && stop.abort(),
    });
    assert.equal(begun.status, "interrupted");
    await Deno.remove(base, { recursive: true });
    const run = await trainIn(dir, {}, { resume: begun.dir });
    assert.deepEqual([run.status, run.steps], ["completed", 6]);
    assert.deepEqual(run.model.weights, whole.model.weights);
    assert.deepEqual(measured(run.dir), measured(whole.dir));
  }));

Deno.test("a run is a model to begin with", () =>
  withBase(async (dir, base) => {
    const first = await trainIn(dir, { init_from: base, max_steps: 2 });
    const still = { max_steps: 1, learning_rate: 1e-30, min_learning_rate: 0, weight_decay: 0 };
    const second = await trainIn(dir, { ...still, init_from: first.dir });
    assert.deepEqual(second.model.weights, first.model.weights);
  }));

Deno.test("a configuration of another model is refused, with both places; dropout may differ", () =>
  withBase(async (dir, base) => {
    const configPath = join(dir, "other.yaml");
    const resolve = (text: string) =>
      Deno.writeTextFile(configPath, text).then(() =>
        resolveRunConfig({ configPath, flags: { "training.init_from": base } })
      );
    const refused = (message: RegExp) => (error: unknown) => {
      assert.ok(error instanceof UserError, `${error}`);
      assert.match(error.describe(), message);
      return true;
    };
    await assert.rejects(
      resolve("model:\n  n_embd: 32\n  n_layer: 3\n"),
      refused(/other\.yaml:3: model\.n_layer is 3, .*base.config\.json says 2 \(leave model\.n_layer out/),
    );
    const { model, training } = await resolve("model: { n_layer: 2, dropout: 0.25 }\n");
    assert.deepEqual([model.n_embd, model.dropout, model.embd_pdrop], [32, 0.25, undefined]);
    assert.equal(training.max_seq_length, 16);
    await assert.rejects(
      resolveRunConfig({ flags: { "training.init_from": join(dir, "none") } }),
      refused(/none: does not exist/),
    );
  }));

const LORA = { rank: 3, alpha: 6, targets: ["c_attn" as const, "mlp.c_fc" as const] };

for (const [optimizer, learning_rate] of [["adamw", 1e-2], ["adamw_8bit", 1e-2], ["muon", 2e-1]] as const) {
  Deno.test(`adapters: a run learns with them, keeps only them, and goes on bit for bit: ${optimizer}`, () =>
    withBase(async (dir, base) => {
      const settings = { init_from: base, lora: LORA, max_steps: 6, learning_rate, optimizer };
      const whole = await trainIn(dir, settings);
      const lines = measured(whole.dir);
      assert.ok(Number(lines[5]!.train_loss) < Number(lines[0]!.train_loss));
      assert.deepEqual(await filesIn(join(whole.dir, "checkpoints", "step_00000006")), [
        "adapter_config.json",
        "adapter_model.safetensors",
        "chatgot_tokenizer.json",
        "config.json",
        "optimizer.safetensors",
        "state.json",
      ]);
      const stop = new AbortController();
      const begun = await trainIn(dir, settings, {
        signal: stop.signal,
        onProgress: ({ step }) => step >= 3 && stop.abort(),
      });
      assert.equal(begun.status, "interrupted");
      const run = await trainIn(dir, {}, { resume: begun.dir });
      assert.deepEqual([run.status, run.steps], ["completed", 6]);
      assert.deepEqual(run.model.weights, whole.model.weights);
      assert.deepEqual(measured(run.dir), measured(whole.dir));
    }));
}

Deno.test("adapters are saved in PEFT's form, merged by export --merge, and read again alone", () =>
  withBase(async (dir, base) => {
    const run = await trainIn(dir, { init_from: base, lora: LORA, learning_rate: 1e-2 });
    const [adapters, whole] = [join(dir, "adapters"), join(dir, "whole")];
    await exportModel(run.dir, adapters);
    await exportModel(run.dir, whole, { merge: true });

    const config = JSON.parse(await Deno.readTextFile(join(adapters, "adapter_config.json")));
    assert.deepEqual(
      [config.peft_type, config.r, config.lora_alpha, config.target_modules, config.fan_in_fan_out],
      ["LORA", 3, 6, ["c_attn", "mlp.c_fc"], true],
    );
    assert.equal(config.base_model_name_or_path, base);
    const tensors = await readPlainSafetensors(join(adapters, "adapter_model.safetensors"));
    const names = ["attn.c_attn", "mlp.c_fc"].flatMap((layer) =>
      [0, 1].flatMap((block) =>
        ["lora_A", "lora_B"].map((part) => `base_model.model.transformer.h.${block}.${layer}.${part}.weight`)
      )
    );
    assert.deepEqual([...tensors.keys()].sort(), names.sort());

    // What PEFT computes: W + (B·A)ᵀ · alpha / r, from the files alone.
    const original = await loadModel(base);
    const merged = await readPlainSafetensors(join(whole, "model.safetensors"));
    const matrix = (bytes: Uint8Array) => new Float32Array(new Uint8Array(bytes).buffer);
    for (const [name, { shape: [rows, cols], data }] of original.weights) {
      const found = merged.get(name)!;
      assert.equal(found.dtype, "F32");
      const layer = name.replace(/\.weight$/, "");
      const a = tensors.get(`base_model.model.transformer.${layer}.lora_A.weight`); // [r, in]
      const b = tensors.get(`base_model.model.transformer.${layer}.lora_B.weight`); // [out, r]
      if (a === undefined || b === undefined) {
        assert.deepEqual(matrix(found.bytes), data, name);
        continue;
      }
      assert.deepEqual([a.shape, b.shape], [[3, rows], [cols, 3]]);
      const [A, B, W] = [matrix(a.bytes), matrix(b.bytes), matrix(found.bytes)];
      for (let i = 0; i < rows!; i++) {
        for (let o = 0; o < cols!; o++) {
          let sum = 0;
          for (let k = 0; k < 3; k++) sum += B[o * 3 + k]! * A[k * rows! + i]!;
          assert.ok(Math.abs(W[i * cols! + o]! - (data[i * cols! + o]! + 6 / 3 * sum)) < 1e-6, name);
        }
      }
    }
    const read = await loadModel(adapters);
    assert.deepEqual(read.weights, run.model.weights);
    assert.deepEqual((await loadModel(whole)).weights, run.model.weights);
    assert.match(
      await Deno.readTextFile(join(adapters, "README.md")),
      /library_name: peft[^]*rank 3, alpha 6/,
    );
    assert.match(await Deno.readTextFile(join(whole, "README.md")), /adapters merged into \| base/);
    await assert.rejects(exportModel(base, join(dir, "x"), { merge: true }), /has no adapters to merge/);
  }));

Deno.test("adapters without their model, of another one, or trained upon one another are refused", () =>
  withBase(async (dir, base) => {
    await assert.rejects(
      trainIn(dir, { lora: LORA }),
      (error) =>
        error instanceof UserError && /training\.lora needs a model.*--init-from/.test(error.describe()),
    );
    const run = await trainIn(dir, { init_from: base, lora: LORA, max_steps: 1 });
    const refused = (message: RegExp) => (error: unknown) =>
      error instanceof UserError && message.test(error.describe()) || assert.fail(`${error}`);
    await assert.rejects(
      trainIn(dir, { init_from: run.dir, lora: LORA, max_steps: 1 }),
      refused(/has adapters of its own.*merge them first/),
    );
    await exportModel(run.dir, join(dir, "adapters"));
    const config = await Deno.readTextFile(join(dir, "adapters", "adapter_config.json"));
    const edit = (from: string, to: string) =>
      Deno.writeTextFile(join(dir, "adapters", "adapter_config.json"), config.replace(from, to));
    await edit(`"r": 3`, `"r": 4`);
    await assert.rejects(
      loadModel(join(dir, "adapters")),
      refused(/adapter_model\.safetensors: tensor .*lora_A\.weight is \[3, 32\], expected \[4, 32\]/),
    );
    await edit(`"bias": "none"`, `"bias": "all"`);
    await assert.rejects(loadModel(join(dir, "adapters")), refused(/bias: expected "none", got "all"/));
    await edit("none", "none");
    await writeFolder(base, {
      config: (await loadModel(base)).config,
      dtype: "F16",
      prefix: "transformer.",
      change: (tensors) => tensors.at(-1)!.data = new Float16Array(32).fill(1),
    });
    await assert.rejects(loadModel(join(dir, "adapters")), refused(/belong to other weights than .*base/));
    await Deno.remove(base, { recursive: true });
    await assert.rejects(
      loadModel(run.dir),
      refused(/the model that the adapters belong to, .*base, is not there/),
    );
  }));

const filesIn = async (dir: string) =>
  (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
