/** What checkpoints hold of each optimizer: names, types and shapes, bit for bit, and the errors of a state that does not fit. */

import assert from "assert";
import { join } from "path";
import { sha256, UserError } from "../../common/mod.ts";
import { type OptimizerName, OPTIMIZERS } from "../../gpu/mod.ts";
import {
  checkpointPath,
  initialWeights,
  modelConfig,
  openSafetensors,
  readCheckpoint,
  stateTensors,
  writeCheckpoint,
  writeSafetensors,
} from "../../models/mod.ts";

const config = modelConfig({ n_layer: 1, n_head: 3, n_embd: 9, n_positions: 5 }, 7);
const weights = initialWeights(config, 1);
const size = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

/** Something for every tensor of a state. */
function stateOf(optimizer: OptimizerName): Map<string, Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>> {
  return new Map(
    stateTensors(config, optimizer).map(({ name, dtype, shape }, k) => [
      name,
      dtype === "U8"
        ? new Uint8Array(size(shape)).map((_, i) => 7 * i + k)
        : new Float32Array(size(shape)).map((_, i) => i / 3 - k),
    ]),
  );
}

async function inRun(body: (runDir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(join(dir, "run"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function write(runDir: string, optimizer: OptimizerName): Promise<string> {
  const state = stateOf(optimizer);
  return writeCheckpoint(runDir, {
    step: 3,
    config,
    weight: ({ name }) => weights.get(name)!.data,
    optimizer,
    optimizerState: ({ name }) => state.get(name)!,
    tokenizer: {},
    state: {},
  });
}

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UserError, `${error}`);
  assert.match(error.describe(), message);
  return true;
};

for (const optimizer of OPTIMIZERS) {
  Deno.test(`a checkpoint brings the state of ${optimizer} back bit for bit`, () =>
    inRun(async (run) => {
      using checkpoint = await readCheckpoint(await write(run, optimizer), config);
      assert.equal(checkpoint.optimizer, optimizer);
      const state = stateOf(optimizer);
      for (const tensor of stateTensors(config, optimizer)) {
        assert.deepEqual(checkpoint.optimizerState(tensor), state.get(tensor.name));
      }
      using file = openSafetensors(join(checkpointPath(run, 3), "optimizer.safetensors"));
      assert.deepEqual(file.metadata, { format: "pt", optimizer });
      assert.deepEqual([...file.tensors.keys()].sort(), [...state.keys()].sort());
    }));
}

Deno.test("each optimizer keeps what it needs, under PyTorch's names", () => {
  const of = (optimizer: OptimizerName, parameter: string) =>
    stateTensors(config, optimizer).filter((t) => t.parameter === parameter)
      .map(({ plane, dtype, shape }) => `${plane} ${dtype} ${shape}`);
  const [matrix, vector] = ["h.0.attn.c_attn.weight", "h.0.ln_1.bias"];
  assert.deepEqual(of("adamw", matrix), ["exp_avg F32 9,27", "exp_avg_sq F32 9,27"]);
  assert.deepEqual(of("lion", matrix), ["exp_avg F32 9,27"]);
  assert.deepEqual(of("sgd", matrix), ["momentum_buffer F32 9,27"]);
  assert.deepEqual(of("muon", matrix), ["momentum_buffer F32 9,27"]);
  assert.deepEqual(of("muon", vector), ["exp_avg F32 9", "exp_avg_sq F32 9"]);
  assert.deepEqual(of("muon", "wte.weight"), ["exp_avg F32 7,9", "exp_avg_sq F32 7,9"]);
  // 12 rows (9, padded) of 64 numbers (nine heads of 3 lanes, each padded to 4, and the row to 64): three blocks of 256.
  assert.deepEqual(of("adamw_8bit", matrix), [
    "exp_avg_absmax F32 3",
    "exp_avg_sq_absmax F32 3",
    "exp_avg U8 9,27",
    "exp_avg_sq U8 9,27",
  ]);
  assert.deepEqual(of("adamw_8bit", vector), [
    "exp_avg_absmax F32 1",
    "exp_avg_sq_absmax F32 1",
    "exp_avg U8 9",
    "exp_avg_sq U8 9",
  ]);
});

/** Writes `optimizer.safetensors` of a checkpoint anew, with its checksum. */
async function rewrite(
  path: string,
  metadata: Record<string, string>,
  leaveOut: (name: string) => boolean = () => false,
): Promise<void> {
  const file = join(path, "optimizer.safetensors");
  const tensors = (() => {
    using old = openSafetensors(file);
    return [...old.tensors.values()].filter(({ name }) => !leaveOut(name))
      .map(({ name, dtype, shape }) => ({ name, dtype, shape, data: old.readBytes(name) }));
  })();
  await writeSafetensors(file, tensors, metadata);
  const statePath = join(path, "state.json");
  const state = JSON.parse(await Deno.readTextFile(statePath));
  state.sha256["optimizer.safetensors"] = sha256(await Deno.readFile(file));
  await Deno.writeTextFile(statePath, JSON.stringify(state));
}

Deno.test("a state without an optimizer's name is AdamW's, as older checkpoints have it", () =>
  inRun(async (run) => {
    const path = await write(run, "adamw");
    await rewrite(path, { format: "pt" });
    using checkpoint = await readCheckpoint(path, config);
    assert.equal(checkpoint.optimizer, "adamw");
  }));

Deno.test("a state of an unknown optimizer, of another one, or with a tensor missing is refused by name", () =>
  inRun(async (run) => {
    const path = await write(run, "lion");
    await rewrite(path, { optimizer: "shampoo" });
    await assert.rejects(readCheckpoint(path), refused(/optimizer\.safetensors.*shampoo.*known are adamw/));
    await rewrite(path, { optimizer: "adamw" });
    await assert.rejects(readCheckpoint(path), refused(/optimizer\.safetensors.*exp_avg_sq\.wte\.weight/));
    await rewrite(path, { optimizer: "adamw_8bit" });
    await assert.rejects(readCheckpoint(path), refused(/exp_avg_absmax/));
    await rewrite(path, { optimizer: "lion" }, (name) => name === "exp_avg.h.0.ln_2.bias");
    await assert.rejects(readCheckpoint(path), refused(/exp_avg\.h\.0\.ln_2\.bias/));
  }));
