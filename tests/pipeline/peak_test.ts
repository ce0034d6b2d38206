/** The adapter's peak and what a training uses of it: the work of models against a count by hand, the file of peaks. */

import assert from "assert";
import { join } from "path";
import { type Gpu, openGpu, type PlanTarget } from "../../gpu/mod.ts";
import { type ModelConfig, modelConfig, modelFlopsPerToken, trainingPlan } from "../../models/mod.ts";
import type { MeasuredAdapter } from "../../pipeline/adapter_cache.ts";
import { findPeak, knownPeak, raisePeak, utilization } from "../../pipeline/peak.ts";
import { inFolder, trainIn } from "./training_support.ts";

const TARGET: PlanTarget = {
  operands: "buffer",
  profile: "gpu",
  maxBindingBytes: 128 << 20,
  maxBufferBytes: 256 << 20,
  maxTextureSide: 8192,
  maxStorageTextures: 4,
  maxStorageBuffers: 8,
  hasSubgroups: false,
};

function flops(config: ModelConfig, [B, T]: [number, number]): number {
  const options = {
    batch_size: B,
    max_seq_length: T,
    accumulate_grad_batches: 1,
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    weight_decay: 0,
    grad_clip: 1,
    seed: 1,
  };
  const training = options as unknown as Parameters<typeof trainingPlan>[1];
  return modelFlopsPerToken(config, trainingPlan(config, training, TARGET), B * T);
}

Deno.test("the work of a model is PaLM's 6 N + 12 L C T, but for keys that a query does not see", () => {
  const [L, C, V, T] = [3, 20, 37, 11]; // nothing of it divisible by what kernels like
  const config = modelConfig({ n_layer: L, n_head: 4, n_embd: C, n_positions: 16, vocab_size: V });
  const matrices = L * (C * 3 * C + C * C + C * 4 * C + 4 * C * C) + V * C;
  const seen = (T + 1) / 2; // keys, in the mean over the queries of a causal sequence
  const expected = 6 * matrices + 12 * L * C * seen;
  assert.ok(Math.abs(flops(config, [2, T]) - expected) < 1e-9 * expected);
  assert.ok(Math.abs(flops(config, [5, T]) - expected) < 1e-9 * expected); // for each token, whatever the batch
});

Deno.test("variants: a head of its own counts in place of the embedding, keys beyond a window do not", () => {
  const [C, V, T] = [16, 30, 8];
  const config = modelConfig({
    ...{ n_layer: 1, n_head: 2, n_embd: C, n_positions: T, vocab_size: V, n_kv_head: 1 },
    ...{ mlp_type: "swiglu", n_inner: 24, position_type: "rotary", tie_word_embeddings: false, bias: false },
    ...{ attention_type: "sparse", window: 2, sparsity_factor: 4 },
  });
  const matrices = C * 2 * C + C * C + 3 * C * 24 + V * C; // one head of keys and values beside two of queries
  // Of key distances 0 to 7, those below 2 and the multiples of 4: 8 + 7 + 4 pairs of 8 queries.
  const expected = 6 * matrices + 12 * C * (8 + 7 + 4) / T;
  assert.equal(flops(config, [1, T]), expected);
});

Deno.test("weights that stand still need no gradient of their own", () => {
  const [C, V, rank] = [16, 30, 4];
  const lora = { rank, alpha: 1, targets: ["c_attn" as const] };
  const shape = { n_layer: 1, n_head: 2, n_embd: C, n_positions: 8, vocab_size: V };
  const still = 12 * C * C + V * C;
  const adapters = C * rank + rank * 3 * C;
  const expected = 4 * still + 6 * adapters + 12 * C * (8 + 1) / 2;
  assert.equal(flops({ ...modelConfig(shape), lora }, [1, 8]), expected);
});

Deno.test("utilization is the work of a second over the peak", () => {
  assert.equal(utilization(2e6, 5000, 40), 0.25); // 10 GFLOP/s of 40
  assert.equal(utilization(2e6, 0, 40), 0);
});

const adapter = (name: string, changes: Partial<MeasuredAdapter> = {}): MeasuredAdapter => ({
  adapter: { name, vendor: "1", architecture: "", features: [] },
  profile: "gpu",
  operands: "buffer",
  ...changes,
});

Deno.test("a peak is measured once for an adapter as it was opened, and only a faster product replaces it", async () => {
  const runs = await Deno.makeTempDir();
  const [card, other] = [adapter("card") as Gpu, adapter("other")];
  let measured = 0;
  const measure = () => Promise.resolve(100 + measured++);
  assert.equal(await knownPeak(card, runs), undefined);
  assert.equal(await findPeak(card, runs, measure), 100);
  assert.equal(await findPeak(card, runs, measure), 100);
  assert.equal(measured, 1);
  assert.equal(await knownPeak(other, runs), undefined);
  assert.equal(await knownPeak(adapter("card", { operands: "texture" }), runs), undefined);
  assert.equal(await raisePeak(other, runs, 7), 7);
  assert.equal(await raisePeak(card, runs, 90), 100);
  assert.equal(await raisePeak(card, runs, 110), 110);
  assert.deepEqual([await knownPeak(card, runs), await knownPeak(other, runs)], [110, 7]);

  await Deno.writeTextFile(join(runs, ".cache", "peak.json"), '{"card": {"gfl'); // a cache that is broken is none
  assert.equal(await knownPeak(card, runs), undefined);
  assert.equal(await findPeak(card, runs, () => Promise.resolve(5)), 5);
  assert.equal(await knownPeak(card, runs), 5);
  const file = join(runs, "file"); // where no folder can be, nothing is kept and nothing fails
  await Deno.writeTextFile(file, "");
  assert.equal(await findPeak(card, file, () => Promise.resolve(6)), 6);
  assert.equal(await knownPeak(card, file), undefined);
  await Deno.remove(runs, { recursive: true });
});

Deno.test("a run's summary tells its part of the peak where that is known, and nothing where not", () =>
  inFolder(async (dir) => {
    const training = { max_steps: 3, eval_interval: 0, checkpoint_interval: 0 };
    assert.equal("mfu" in await trainIn(dir, training), false);
    const gpu = await openGpu();
    await raisePeak(gpu, join(dir, "runs"), 50);
    gpu.close();
    const run = await trainIn(dir, training);
    const config = { n_layer: 2, n_head: 2, n_embd: 32, n_positions: 16 };
    const work = flops(modelConfig(config, run.model.config.vocab_size), [4, 16]);
    assert.ok(Math.abs(run.mfu! / utilization(work, run.tokens_per_second!, 50) - 1) < 1e-9);
  }));
