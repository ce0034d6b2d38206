import assert from "assert";
import { join } from "path";
import { UserError } from "../../common/mod.ts";
import {
  checkpointPath,
  checkpointSteps,
  discardCheckpointsAfter,
  fromHuggingFaceConfig,
  initialWeights,
  latestCheckpoint,
  loadModel,
  modelConfig,
  openSafetensors,
  pruneCheckpoints,
  readCheckpoint,
  stateTensors,
  type Weights,
  writeCheckpoint,
  writeSafetensors,
} from "../../models/mod.ts";

const config = modelConfig({ n_layer: 1, n_head: 3, n_embd: 9, n_positions: 5 }, 7);
const weights = initialWeights(config, 1);
const moments = { exp_avg: initialWeights(config, 2), exp_avg_sq: initialWeights(config, 3) };
const tokenizer = { kind: "char", vocabulary: ["a", "é", "\n", '"', "𝄞"] };

const write = (runDir: string, step: number, from: Weights = weights) =>
  writeCheckpoint(runDir, {
    step,
    config,
    weight: ({ name }) => from.get(name)!.data,
    optimizerState: ({ plane, parameter }) => () => {
      const { data } = moments[plane as keyof typeof moments].get(parameter)!;
      return [data.subarray(0, 2), data.subarray(2)]; // in pieces, as from a device
    },
    tokenizer,
    state: { loss_scale: 1, best: { step, val_loss: 1.25 } },
  });

async function inRun(body: (runDir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(join(dir, "run"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UserError, `${error}`);
  assert.match(error.describe(), message);
  assert.ok(!error.describe().includes("\n"));
  return true;
};

const visible = async (dir: string) =>
  (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();

Deno.test("a checkpoint comes back bit for bit", () =>
  inRun(async (run) => {
    const path = await write(run, 500);
    assert.equal(path, join(run, "checkpoints", "step_00000500"));
    using checkpoint = await readCheckpoint(path, config);
    assert.deepEqual(checkpoint.config, config);
    assert.deepEqual(checkpoint.tokenizer, tokenizer);
    assert.deepEqual(checkpoint.state, { loss_scale: 1, best: { step: 500, val_loss: 1.25 } });
    assert.equal(checkpoint.step, 500);
    assert.deepEqual(checkpoint.weights(), weights);
    assert.equal(checkpoint.optimizer, "adamw");
    for (const tensor of stateTensors(config, "adamw")) {
      const { data } = moments[tensor.plane as keyof typeof moments].get(tensor.parameter)!;
      assert.deepEqual(checkpoint.optimizerState(tensor), data);
    }
  }));

Deno.test("the folder has the files of a Hugging Face model, and nothing hidden stays beside it", () =>
  inRun(async (run) => {
    const path = await write(run, 1);
    assert.deepEqual(await visible(join(run, "checkpoints")), ["step_00000001"]);
    assert.deepEqual(await visible(path), [
      "chatgot_tokenizer.json",
      "config.json",
      "model.safetensors",
      "optimizer.safetensors",
      "state.json",
    ]);
    using model = openSafetensors(join(path, "model.safetensors"));
    assert.deepEqual(model.metadata, { format: "pt" });
  }));

for (const name of ["config.json", "model.safetensors", "optimizer.safetensors", "chatgot_tokenizer.json"]) {
  Deno.test(`a flipped bit, a cut and a loss of ${name} are each noticed and named`, () =>
    inRun(async (run) => {
      const path = await write(run, 1);
      const file = join(path, name);
      const bytes = await Deno.readFile(file);
      const flipped = bytes.slice();
      flipped[flipped.length - 3]! ^= 4;
      for (const wrong of [flipped, bytes.subarray(0, bytes.length - 1), new Uint8Array(0)]) {
        await Deno.writeFile(file, wrong);
        await assert.rejects(readCheckpoint(path), refused(new RegExp(`${name}.*damaged`)));
      }
      await Deno.remove(file);
      await assert.rejects(readCheckpoint(path), refused(new RegExp(name)));
    }));
}

Deno.test("state.json: missing, cut, of a newer version, of another form", () =>
  inRun(async (run) => {
    const path = await write(run, 1);
    const file = join(path, "state.json");
    const text = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, text.slice(0, text.length / 2));
    await assert.rejects(readCheckpoint(path), refused(/state\.json/));
    await Deno.writeTextFile(file, text.replace('"format_version": 1', '"format_version": 9'));
    await assert.rejects(readCheckpoint(path), refused(/state\.json.*version 9.*up to 1/));
    await Deno.writeTextFile(file, text.replace('"step": 1', '"step": "one"'));
    await assert.rejects(readCheckpoint(path), refused(/state\.json.*step/));
    await Deno.writeTextFile(file, "null");
    await assert.rejects(readCheckpoint(path), refused(/state\.json/));
    await Deno.remove(file);
    await assert.rejects(readCheckpoint(path), refused(/no checkpoint/));
    await assert.rejects(readCheckpoint(join(run, "nowhere")), refused(/no checkpoint/));
  }));

Deno.test("a checkpoint of another shape: tensor, expected and found are named", () =>
  inRun(async (run) => {
    const path = await write(run, 1);
    const wider = modelConfig({ n_layer: 1, n_head: 3, n_embd: 12, n_positions: 5 }, 7);
    await assert.rejects(
      readCheckpoint(path, wider),
      refused(/model\.safetensors.*wte\.weight.*\[7, 9\].*\[7, 12\]/),
    );
    const deeper = modelConfig({ n_layer: 2, n_head: 3, n_embd: 9, n_positions: 5 }, 7);
    await assert.rejects(readCheckpoint(path, deeper), refused(/h\.1\.ln_1\.weight/));
  }));

Deno.test("the newest whole checkpoint is found, broken newer ones are told", () =>
  inRun(async (run) => {
    assert.deepEqual(await latestCheckpoint(run), { checkpoint: undefined, warnings: [] });
    for (const step of [2, 10, 9]) await write(run, step);
    {
      const { checkpoint, warnings } = await latestCheckpoint(run);
      using newest = checkpoint!;
      assert.equal(newest.step, 10);
      assert.deepEqual(warnings, []);
    }
    await Deno.truncate(join(checkpointPath(run, 10), "model.safetensors"), 100);
    await Deno.remove(join(checkpointPath(run, 9), "state.json"));
    const { checkpoint, warnings } = await latestCheckpoint(run);
    using newest = checkpoint!;
    assert.equal(newest.step, 2);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0]!, /step 10 .*model\.safetensors/);
    assert.match(warnings[1]!, /step 9 .*state\.json/);
  }));

Deno.test("what a killed write left behind is never read and is cleared by the next pruning", () =>
  inRun(async (run) => {
    await write(run, 1);
    // A write that was killed before its rename: some whole files under the temporary name.
    const left = join(run, "checkpoints", ".step_00000002.1a2b3c4d.tmp");
    await Deno.mkdir(left);
    await Deno.copyFile(join(checkpointPath(run, 1), "config.json"), join(left, "config.json"));
    await Deno.writeTextFile(join(left, "model.safetensors"), "half");
    assert.deepEqual(await checkpointSteps(run), [1]);
    assert.equal((await loadModel(run)).step, 1);
    await pruneCheckpoints(run, 2);
    assert.deepEqual(await visible(join(run, "checkpoints")), ["step_00000001"]);
  }));

Deno.test("a write that fails leaves the checkpoints before it whole and nothing of its own", () =>
  inRun(async (run) => {
    await write(run, 1);
    const full = Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
    const failing = writeCheckpoint(run, {
      step: 1,
      config,
      weight: ({ name }) => weights.get(name)!.data,
      optimizerState: () => () => {
        throw full; // as the disk does when it is full
      },
      tokenizer,
      state: {},
    });
    await assert.rejects(failing, refused(/step_00000001.*disk is full/));
    assert.deepEqual(await visible(join(run, "checkpoints")), ["step_00000001"]);
    using checkpoint = await readCheckpoint(checkpointPath(run, 1));
    assert.deepEqual(checkpoint.weights(), weights);
  }));

Deno.test("a checkpoint of the same step is replaced", () =>
  inRun(async (run) => {
    await write(run, 1);
    await write(run, 1, initialWeights(config, 99));
    using checkpoint = await readCheckpoint(checkpointPath(run, 1));
    assert.deepEqual(checkpoint.weights(), initialWeights(config, 99));
    assert.deepEqual(await visible(join(run, "checkpoints")), ["step_00000001"]);
  }));

Deno.test("pruning keeps the newest and the best; discarding drops what is later", () =>
  inRun(async (run) => {
    for (const step of [1, 2, 3, 4, 5]) await write(run, step);
    await pruneCheckpoints(run, 2, 1);
    assert.deepEqual(await checkpointSteps(run), [5, 4, 1]);
    await pruneCheckpoints(run, 1, 5);
    assert.deepEqual(await checkpointSteps(run), [5]);
    await write(run, 6);
    await discardCheckpointsAfter(run, 5);
    assert.deepEqual(await checkpointSteps(run), [5]);
    await pruneCheckpoints(join(run, "nowhere"), 1);
  }));

Deno.test("a file where the run's folder should be is told", () =>
  inRun(async (run) => {
    await Deno.writeTextFile(run, "a file");
    await assert.rejects(write(run, 1), refused(/file stands where a folder should be/));
  }));

Deno.test("a run, a checkpoint and a Hugging Face folder load", () =>
  inRun(async (run) => {
    await write(run, 1);
    await write(run, 2, initialWeights(config, 8));
    const fromRun = await loadModel(run);
    assert.deepEqual([fromRun.step, fromRun.weights], [2, initialWeights(config, 8)]);
    const fromCheckpoint = await loadModel(checkpointPath(run, 1));
    assert.deepEqual([fromCheckpoint.step, fromCheckpoint.weights], [1, weights]);
    assert.deepEqual(fromCheckpoint.tokenizer, tokenizer);

    // As transformers saves a GPT2LMHeadModel of an older version: prefix, mask buffers, the tied head once more.
    const folder = join(run, "hugging_face");
    await Deno.mkdir(folder);
    await Deno.copyFile(join(checkpointPath(run, 1), "config.json"), join(folder, "config.json"));
    await writeSafetensors(join(folder, "model.safetensors"), [
      ...[...weights].map(([name, { shape, data }]) => ({
        name: `transformer.${name}`,
        dtype: "F32" as const,
        shape,
        data,
      })),
      {
        name: "transformer.h.0.attn.bias",
        dtype: "U8",
        shape: [1, 1, 2, 2],
        data: Uint8Array.of(1, 0, 1, 1),
      },
      { name: "lm_head.weight", dtype: "F32", shape: [7, 9], data: weights.get("wte.weight")!.data },
    ]);
    const foreign = await loadModel(folder);
    assert.deepEqual([foreign.weights, foreign.step, foreign.tokenizer], [weights, undefined, undefined]);
  }));

Deno.test("PyTorch's reference model loads, and its weights of another configuration are refused", () =>
  inRun(async (run) => {
    const reference = join(import.meta.dirname!, "../reference/one-batch");
    await Deno.mkdir(run);
    await Deno.copyFile(join(reference, "config.json"), join(run, "config.json"));
    await Deno.copyFile(join(reference, "weights.safetensors"), join(run, "model.safetensors"));
    const { config, weights } = await loadModel(run);
    assert.deepEqual(
      config,
      fromHuggingFaceConfig(JSON.parse(await Deno.readTextFile(join(reference, "config.json"))), ""),
    );
    assert.deepEqual(weights.get("h.1.mlp.c_proj.weight")!.shape, [128, 32]);
    await Deno.copyFile(join(reference, "../trajectory/config.json"), join(run, "config.json"));
    await assert.rejects(loadModel(run), refused(/wte\.weight.*\[50, 32\].*\[84, 48\]/));
  }));

Deno.test("folders without a model are told", () =>
  inRun(async (run) => {
    await assert.rejects(loadModel(run), refused(/does not exist/));
    await Deno.mkdir(run);
    await assert.rejects(loadModel(run), refused(/holds no model/));
    await Deno.mkdir(join(run, "checkpoints"));
    await assert.rejects(loadModel(run), refused(/no whole checkpoint/));
    await write(run, 1);
    await Deno.truncate(join(checkpointPath(run, 1), "config.json"), 5);
    await assert.rejects(loadModel(run), refused(/no whole checkpoint; checkpoint of step 1 .*config\.json/));
  }));

Deno.test("a writer killed at any moment leaves a newest checkpoint that is whole", () =>
  inRun(async (run) => {
    const door = new URL("../../models/mod.ts", import.meta.url).href;
    const script = `
      import { initialWeights, modelConfig, writeCheckpoint } from ${JSON.stringify(door)};
      const config = modelConfig({ n_layer: 2, n_head: 4, n_embd: 64, n_positions: 64 }, 65);
      const weights = initialWeights(config, 1);
      const data = ({ name }) => weights.get(name).data;
      for (let step = 1;; step++) {
        await writeCheckpoint(${JSON.stringify(run)}, {
          step, config, weight: data, optimizerState: (t) => data({ name: t.parameter }), tokenizer: {}, state: { step },
        });
        if (step === 1) console.log("ready");
      }`;
    const file = `${run}_writer.ts`;
    await Deno.writeTextFile(file, script);
    const config = join(import.meta.dirname!, "../../deno.json");
    for (const delay of [0, 7, 16, 31, 53]) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--allow-all", "--no-check", "--config", config, file],
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const reader = child.stdout.getReader();
      assert.equal((await reader.read()).done, false); // the first is written
      await new Promise((done) => setTimeout(done, delay));
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
      const { checkpoint, warnings } = await latestCheckpoint(run);
      using newest = checkpoint!;
      assert.deepEqual(warnings, []);
      assert.equal(newest.state.step, newest.step);
      await pruneCheckpoints(run, 1);
      assert.equal((await visible(join(run, "checkpoints"))).length, 1);
    }
  }));
