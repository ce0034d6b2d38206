/** Import and export: what goes in comes out byte for byte, in a reader of the format that shares nothing with ours. */

import assert from "assert";
import { join } from "path";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { UserError } from "../../common/mod.ts";
import { CharTokenizer, gpt2Tokenizer, huggingFaceTokenizerFiles, type Tokenizer } from "../../data/mod.ts";
import { initialWeights, modelConfig, parameters, writeCheckpoint } from "../../models/mod.ts";
import { pipelineCommands } from "../../pipeline/mod.ts";
import type { RunStore } from "../../pipeline/mod.ts";
import {
  type FolderForm,
  ODD_MODEL,
  readPlainSafetensors,
  writeFolder,
} from "../models/hugging_face_folder.ts";
import { printed } from "./printed.ts";

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Runs a command and gives what it printed as `--json`. */
async function chatgot(name: string, ...args: string[]) {
  const command = pipelineCommands({} as RunStore).find((each) => each.name() === name)!;
  return JSON.parse(await printed(() => command.parseAsync([...args, "--json"], { from: "user" })));
}

const namesIn = async (dir: string) =>
  (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();

/** All tensors of a folder by the second reader, whether in one file or in shards. */
async function plainTensors(dir: string) {
  const files = (await namesIn(dir)).filter((name) => name.endsWith(".safetensors"));
  const all = await Promise.all(files.map((name) => readPlainSafetensors(join(dir, name))));
  return new Map(all.flatMap((tensors) => [...tensors]));
}

const FORMS: FolderForm[] = [
  {},
  { prefix: "transformer.", extras: true },
  { dtype: "F16", shards: 5, extras: true },
  { dtype: "BF16", shards: 1, prefix: "transformer." },
];

for (const form of FORMS) {
  Deno.test(`import → export is the identity on every parameter's bytes: ${JSON.stringify(form)}`, () =>
    inTempDir(async (dir) => {
      const [from, model, out, again] = ["from", "model", "out", "again"].map((name) => join(dir, name));
      const bytes = await writeFolder(from!, form);
      const imported = await chatgot("import", "--from", from!, "--to", model!);
      assert.equal(imported.left_out.length, form.extras ? 3 : 0);
      assert.deepEqual(imported.dtypes, { [form.dtype ?? "F32"]: bytes.size });
      await chatgot("export", "--model-path", model!, "--to", out!, "--max-shard-size", "400");
      const tensors = await plainTensors(out!);
      assert.equal(tensors.size, bytes.size);
      for (const { name, shape } of parameters(ODD_MODEL)) {
        const tensor = tensors.get((form.prefix ?? "") + name)!;
        assert.deepEqual(tensor, { dtype: form.dtype ?? "F32", shape, bytes: bytes.get(name) }, name);
      }
      await chatgot("import", "--from", out!, "--to", again!);
      assert.deepEqual(
        await Deno.readFile(join(again!, "model.safetensors")),
        await Deno.readFile(join(model!, "model.safetensors")),
      );
    }));
}

for (const set of ["one-batch", "trajectory"]) {
  Deno.test(`PyTorch's reference set ${set} comes out of import and export as the same file`, () =>
    inTempDir(async (dir) => {
      const from = join(import.meta.dirname!, "../reference", set);
      await chatgot("import", "--from", from, "--to", join(dir, "model"));
      await chatgot("export", "--model-path", join(dir, "model"), "--to", join(dir, "out"));
      assert.deepEqual(
        await Deno.readFile(join(dir, "out", "model.safetensors")),
        await Deno.readFile(join(from, "weights.safetensors")),
      );
      const config = async (folder: string) =>
        JSON.parse(await Deno.readTextFile(join(folder, "config.json")));
      assert.deepEqual(await config(join(dir, "out")), await config(from));
    }));
}

Deno.test("shards are as large as asked for, and the index says where everything is", () =>
  inTempDir(async (dir) => {
    await writeFolder(join(dir, "from"));
    const { files } = await chatgot(
      ...["export", "--model-path", join(dir, "from"), "--to", join(dir, "out")] as [string, ...string[]],
      "--max-shard-size",
      "1.5KB",
    );
    const index = JSON.parse(await Deno.readTextFile(join(dir, "out", "model.safetensors.index.json")));
    const shards = files.filter((name: string) => /^model-0000\d-of-0000\d\.safetensors$/.test(name));
    assert.ok(shards.length > 3);
    let total = 0;
    for (const name of shards) {
      const tensors = await readPlainSafetensors(join(dir, "out", name));
      const size = [...tensors.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
      assert.ok(size <= 1500 || tensors.size === 1);
      total += size;
      for (const tensor of tensors.keys()) assert.equal(index.weight_map[tensor], name);
    }
    assert.equal(index.metadata.total_size, total);
  }));

/** A run's folder with one checkpoint, as a training leaves it. */
async function writeRun(dir: string, tokenizer: Tokenizer): Promise<void> {
  const config = modelConfig({ n_layer: 1, n_head: 2, n_embd: 8, n_positions: 6 }, tokenizer.vocab_size);
  const weights = initialWeights(config, 1);
  await writeCheckpoint(dir, {
    step: 40,
    config,
    weight: ({ name }) => weights.get(name)!.data,
    optimizerState: ({ shape }) => new Float32Array(shape.reduce((a, b) => a * b, 1)),
    tokenizer: tokenizer.toJSON(),
    state: {
      evaluated: 40,
      sampled: 40,
      loss_sum: 0,
      loss_count: 0,
      train_loss: 2.5,
      val_loss: 2.75,
      best: { step: 30, val_loss: 2.625 },
      worse: 1,
      early_stopped: false,
      seconds: 1,
      dataset: { name: "my_book", source_digest: "0123abcd", tokens_digest: "4567" },
    },
  });
  await Deno.writeTextFile(
    join(dir, "config.yaml"),
    "training: { max_steps: 77, learning_rate: 0.123, max_seq_length: 6, batch_size: 2 }\n" +
      "model: { n_positions: 6 }\ngeneration: { temperature: 0.5, top_k: 7 }\n",
  );
}

Deno.test("a run of characters: all files are there, the card tells data, settings and losses, and it comes back", () =>
  inTempDir(async (dir) => {
    const tokenizer = CharTokenizer.fromTexts(["Call me Ishmael. 🐋\n"]);
    await writeRun(join(dir, "run"), tokenizer);
    const { step, files } = await chatgot(
      "export",
      "--model-path",
      join(dir, "run"),
      "--to",
      join(dir, "out"),
    );
    assert.equal(step, 40);
    assert.deepEqual(files.toSorted(), await namesIn(join(dir, "out")));
    assert.deepEqual(files.toSorted(), [
      "README.md",
      "chatgot_tokenizer.json",
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const card = await Deno.readTextFile(join(dir, "out", "README.md"));
    for (const told of ["my_book", "0123abcd", "learning_rate: 0.123", "2.7500 nats", "2.6250", "Step 40"]) {
      assert.ok(card.includes(told), `${told} is missing in\n${card}`);
    }
    const json = async (name: string) => JSON.parse(await Deno.readTextFile(join(dir, "out", name)));
    const generation = await json("generation_config.json");
    assert.deepEqual([generation.do_sample, generation.temperature, generation.top_k], [true, 0.5, 7]);

    const theirs = new HuggingFaceTokenizer(
      await json("tokenizer.json"),
      await json("tokenizer_config.json"),
    );
    for (const text of ["Call me", "x 🐋🐋 é\n\n", "  me  "]) {
      const ids = theirs.encode(text).ids;
      assert.deepEqual(ids, [...tokenizer.encode(text)]);
      assert.equal(theirs.decode(ids), tokenizer.decode(ids));
    }
    const imported = await chatgot("import", "--from", join(dir, "out"), "--to", join(dir, "model"));
    assert.deepEqual(imported.tokenizer, { kind: "char", vocab_size: tokenizer.vocab_size });
  }));

Deno.test("a run of GPT-2's tokens names the token that ends texts, and its files are those of GPT-2", () =>
  inTempDir(async (dir) => {
    await writeRun(join(dir, "run"), gpt2Tokenizer());
    await chatgot("export", "--model-path", join(dir, "run"), "--to", join(dir, "out"));
    const json = async (name: string) => JSON.parse(await Deno.readTextFile(join(dir, "out", name)));
    assert.equal((await json("config.json")).eos_token_id, 50256);
    assert.equal((await json("generation_config.json")).eos_token_id, 50256);
    assert.equal(Object.keys(await json("vocab.json")).length, 50257);
    const merges = (await Deno.readTextFile(join(dir, "out", "merges.txt"))).trimEnd().split("\n");
    assert.deepEqual([merges.length, merges[1]], [50001, "Ġ t"]);
    const { tokenizer } = await chatgot("import", "--from", join(dir, "out"), "--to", join(dir, "model"));
    assert.deepEqual(tokenizer, { kind: "file", vocab_size: 50257 });
  }));

Deno.test("the tokenizer's files of an imported model come out as they went in", () =>
  inTempDir(async (dir) => {
    const from = join(dir, "from");
    const tokenizer = CharTokenizer.fromTexts(["0123456789"]); // 11 tokens, as the model has
    await writeFolder(from);
    await Deno.writeTextFile(join(from, "chatgot_tokenizer.json"), JSON.stringify(tokenizer.toJSON()));
    const files = { ...huggingFaceTokenizerFiles(tokenizer), "generation_config.json": `{ "top_k": 5 }` };
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(from, name), text);
    await chatgot("import", "--from", from, "--to", join(dir, "model"));
    await chatgot("export", "--model-path", join(dir, "model"), "--to", join(dir, "out"));
    for (const name of Object.keys(huggingFaceTokenizerFiles(tokenizer))) {
      const [went, came] = [join(from, name), join(dir, "out", name)];
      assert.equal(await Deno.readTextFile(came), await Deno.readTextFile(went), name);
    }
    assert.deepEqual(
      JSON.parse(await Deno.readTextFile(join(dir, "out", "generation_config.json"))),
      { top_k: 5 },
    );
  }));

Deno.test("a broken model is one clear error and leaves nothing behind", () =>
  inTempDir(async (dir) => {
    const from = join(dir, "from");
    const refused = async (message: RegExp) => {
      await assert.rejects(chatgot("import", "--from", from, "--to", join(dir, "model")), (error) => {
        assert.ok(error instanceof UserError, `${error}`);
        assert.match(error.describe(), message);
        return true;
      });
      assert.deepEqual((await namesIn(dir)).filter((name) => name !== "from"), []);
    };
    await writeFolder(from, { shards: 6 });
    await Deno.truncate(join(from, "model-00003-of-many.safetensors"), 300);
    await refused(/model-00003-of-many\.safetensors: is truncated/);
    await writeFolder(from, { shards: 6 });
    const tokenizer = JSON.parse(huggingFaceTokenizerFiles(gpt2Tokenizer())["tokenizer.json"]!);
    const write = () => Deno.writeTextFile(join(from, "tokenizer.json"), JSON.stringify(tokenizer));
    await write();
    await refused(/the tokenizer has 50257 tokens, config\.json says vocab_size 11/);
    tokenizer.model.merges[3] = ["Ġ", "☃"];
    await write();
    await refused(/tokenizer\.json: model\.merges\[3\].*"☃".*not in model\.vocab/);
    await Deno.remove(join(from, "tokenizer.json"));
    const config = JSON.parse(await Deno.readTextFile(join(from, "config.json")));
    await Deno.writeTextFile(join(from, "config.json"), JSON.stringify({ ...config, model_type: "llama" }));
    await refused(/config\.json: model_type: expected "gpt2", got "llama"/);
  }));

Deno.test("a folder that holds something is not written over unless told so", () =>
  inTempDir(async (dir) => {
    await writeFolder(join(dir, "from"));
    await Deno.mkdir(join(dir, "model"));
    await Deno.writeTextFile(join(dir, "model", "mine.txt"), "mine");
    const args = ["--from", join(dir, "from"), "--to", join(dir, "model")];
    await assert.rejects(chatgot("import", ...args), /is there already and not empty/);
    assert.deepEqual(await namesIn(join(dir, "model")), ["mine.txt"]);
    await chatgot("import", ...args, "--overwrite");
    assert.deepEqual(await namesIn(join(dir, "model")), ["config.json", "model.safetensors"]);
  }));

Deno.test("an imported model writes, and is evaluated over all that it can see", () =>
  inTempDir(async (dir) => {
    await writeFolder(join(dir, "from"), { dtype: "BF16", shards: 7, extras: true });
    const tokenizer = CharTokenizer.fromTexts(["0123456789"]); // 11 tokens, as the model has
    await Deno.writeTextFile(join(dir, "from", "chatgot_tokenizer.json"), JSON.stringify(tokenizer.toJSON()));
    await chatgot("import", "--from", join(dir, "from"), "--to", join(dir, "model"));
    const model = ["--model-path", join(dir, "model")];
    const { samples } = await chatgot("generate", ...model, "--prompt", "12", "--max-new-tokens", "9");
    assert.match(samples[0].text, /^[0-9\uFFFD]{9}$/);
    await Deno.writeTextFile(join(dir, "text.txt"), "3141592653589793238462643");
    const found = await chatgot("evaluate", ...model, "--file", join(dir, "text.txt"), "--stride", "2");
    assert.deepEqual([found.max_seq_length, found.stride, found.tokens], [ODD_MODEL.n_positions, 2, 24]);
    assert.ok(Math.abs(found.bits_per_byte - found.loss / Math.LN2) < 1e-9, "a byte a character");
    const again = await chatgot(
      "evaluate",
      "--model-path",
      join(dir, "from"),
      "--file",
      join(dir, "text.txt"),
    );
    assert.equal(again.max_seq_length, ODD_MODEL.n_positions);
  }));
