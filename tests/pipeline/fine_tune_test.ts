/** Training that begins with a model there is already: weights, shape and tokenizer are that model's. */

import assert from "assert";
import { join } from "path";
import { parse } from "yaml";
import { UserError } from "../../common/mod.ts";
import { CharTokenizer } from "../../data/mod.ts";
import { loadModel, modelConfig } from "../../models/mod.ts";
import { resolveRunConfig } from "../../pipeline/mod.ts";
import { writeFolder } from "../models/hugging_face_folder.ts";
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
    assert.deepEqual(await measured(run.dir), await measured(whole.dir));
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
