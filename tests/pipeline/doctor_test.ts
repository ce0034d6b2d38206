/** The command `doctor` and the reference vectors: those of the repository, and sets of other shapes made by the oracle. */

import assert from "assert";
import * as path from "path";
import { UserError } from "../../common/mod.ts";
import { findDriverFaults } from "../../gpu/mod.ts";
import { modelConfig } from "../../models/mod.ts";
import { doctorCommand } from "../../pipeline/commands/doctor.ts";
import { embeddedReference, referenceFolders } from "../../pipeline/reference_files.ts";
import { checkReference } from "../../pipeline/reference_check.ts";
import { withGpu } from "../gpu/support.ts";
import { printed } from "./printed.ts";
import { type SetSettings, writeBatchSet, writeTrajectorySet } from "./reference_set.ts";

const REFERENCE = path.join(import.meta.dirname!, "../reference");

const doctor = (...args: string[]) => printed(() => doctorCommand().parseAsync(args, { from: "user" }));

async function withFolder(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** The worst case of shapes: 3 heads of 11 lanes, 67 tokens, sequences shorter than the context; nothing at its default. */
const ODD = modelConfig({ n_layer: 2, n_head: 3, n_embd: 33, n_positions: 40, vocab_size: 67 });
const ODD_SETTINGS: SetSettings = {
  B: 3,
  T: 24,
  adamw: {
    lr: 3e-3,
    betas: [0.8, 0.97],
    eps: 1e-6,
    weight_decay: 0.3,
    decay_on: "tensors with 2 dimensions",
  },
  clip: { max_norm: 0.4 },
};

Deno.test("the built-in set is tests/reference/one-batch, byte for byte", async () => {
  const dir = path.join(REFERENCE, "one-batch");
  const [folder] = await referenceFolders(dir);
  const embedded = embeddedReference();
  assert.deepEqual([...embedded.files].sort(), [...folder!.files].sort());
  for (const file of embedded.files) {
    if (file.endsWith(".json")) {
      assert.deepEqual(await embedded.json(file), await folder!.json(file), file);
      continue;
    }
    using ours = embedded.safetensors(file);
    using theirs = folder!.safetensors(file);
    assert.deepEqual(ours.tensors, theirs.tensors);
    for (const name of ours.tensors.keys()) {
      assert.deepEqual(ours.readBytes(name), theirs.readBytes(name), name);
    }
  }
});

Deno.test("doctor --json: the built-in set holds on this adapter, faults are notes", async () => {
  const before = Deno.exitCode;
  const output = await doctor("--json");
  assert.equal(output.trimEnd().split("\n").length, 1);
  const { ok, adapter, checks, notes, limits } = JSON.parse(output);
  assert.equal(ok, true, output);
  assert.equal(typeof adapter, "string");
  assert.ok(limits.max_buffer_bytes > 0);
  const names = checks.map(({ name }: { name: string }) => name);
  for (
    const name of ["logits", "logits_with_kv_cache", "loss", "grads", "params_after_1", "params_after_5"]
  ) {
    assert.ok(names.includes(name), `${names}`);
  }
  for (const check of checks) {
    assert.deepEqual(Object.keys(check), ["name", "max_abs_deviation", "tolerance", "ok"]);
    assert.ok(check.max_abs_deviation <= check.tolerance, JSON.stringify(check));
  }
  assert.equal(notes.length, 4);
  assert.equal(Deno.exitCode, before);
});

Deno.test("the trajectory of 200 steps stays within 1e-4 of float64", () =>
  withGpu({}, async (gpu) => {
    const [set] = await referenceFolders(path.join(REFERENCE, "trajectory"));
    const [check] = await checkReference(gpu, set!);
    assert.equal(check!.tolerance, 1e-4);
    assert.ok(check!.ok, JSON.stringify(check));
  }));

Deno.test("sets of other shapes and settings hold, with every setting read from the set", () =>
  withFolder(async (dir) => {
    for (const name of ["odd", "plain", "trajectory"]) await Deno.mkdir(path.join(dir, name));
    await writeBatchSet(path.join(dir, "odd"), ODD, ODD_SETTINGS, "transformer.");
    const plain = modelConfig({ n_layer: 1, n_head: 1, n_embd: 5, n_positions: 7, vocab_size: 2 });
    const bare = { lr: 1e-2, betas: [0.9, 0.999] as [number, number], eps: 1e-8, weight_decay: 0 };
    await writeBatchSet(path.join(dir, "plain"), plain, { B: 1, T: 1, adamw: bare, clip: null });
    await writeTrajectorySet(path.join(dir, "trajectory"), ODD, ODD_SETTINGS, { steps: 12, stride: 101 });
    const { ok, checks } = JSON.parse(await doctor("--reference", dir, "--json"));
    assert.equal(ok, true, JSON.stringify(checks, null, 1));
    const names = checks.map(({ name }: { name: string }) => name);
    assert.equal(names.length, 10 + 10 + 1);
    assert.ok(names.includes("odd/grads") && names.includes("trajectory/losses_of_12_steps"), `${names}`);
  }));

Deno.test("a model that computes something else fails its checks and gives exit status 1", () =>
  withFolder(async (dir) => {
    await writeBatchSet(dir, ODD, ODD_SETTINGS);
    const meta = JSON.parse(await Deno.readTextFile(path.join(dir, "meta.json")));
    meta.adamw.weight_decay = 0;
    await Deno.writeTextFile(path.join(dir, "meta.json"), JSON.stringify(meta));
    const before = Deno.exitCode;
    try {
      const output = await doctor("--reference", dir);
      assert.equal(Deno.exitCode, 1);
      assert.match(output, /FAIL params_after_5/);
      assert.match(output, /ok +logits/);
    } finally {
      Deno.exitCode = before;
    }
  }));

Deno.test("what is no set of vectors is one clear line", () =>
  withFolder(async (dir) => {
    const rejects = (args: string[], message: RegExp) =>
      assert.rejects(doctor(...args), (e) => e instanceof UserError && message.test(e.describe()));
    await rejects(["--reference", path.join(dir, "none")], /none: does not exist .*meta\.json/);
    await rejects(["--reference", dir], /holds no reference vectors/);
    await writeBatchSet(dir, ODD, ODD_SETTINGS);
    await Deno.truncate(path.join(dir, "weights.safetensors"), 5000);
    await rejects(["--reference", dir], /weights\.safetensors: is truncated/);
    await Deno.remove(path.join(dir, "weights.safetensors"));
    await rejects(["--reference", dir], /weights\.safetensors: no such file/);
    await Deno.writeTextFile(path.join(dir, "meta.json"), `{"B": 2}`);
    await rejects(["--reference", dir], /meta\.json: T is missing/);
  }));

Deno.test("findDriverFaults() tries each fault and says what it saw", () =>
  withGpu({}, async (gpu) => {
    const faults = await findDriverFaults(gpu);
    assert.deepEqual(faults.map(({ name }) => name), [
      "loop_limit",
      "bare_var_in_loop",
      "eager_read_back",
      "timestamps",
    ]);
    for (const { detail } of faults) assert.ok(detail.length > 10);
  }));
