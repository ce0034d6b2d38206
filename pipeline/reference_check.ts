/**
 * Runs the model on this adapter against reference vectors and reports every largest deviation beside its tolerance.
 *
 * Of a set with `meta.json`: logits (of a whole batch, and token by token through the KV cache), loss, gradients, parameters
 * after some AdamW steps, losses and gradient norms on the way. Of one with `losses.json`: the loss of every step.
 */

import { UserError } from "../common/mod.ts";
import { type Gpu, KernelCache, plan, Program } from "../gpu/mod.ts";
import {
  Generator,
  logitsGraph,
  type MicroBatch,
  type ModelConfig,
  type StepMetrics,
  TrainableModel,
  type Weights,
} from "../models/mod.ts";
import type { ReferenceFiles } from "./reference_files.ts";
import {
  lossesSchema,
  metaSchema,
  readParameters,
  readReferenceModel,
  readSettings,
  readTokens,
  type ReferenceModel,
} from "./reference_set.ts";

/** One comparison. */
export interface ReferenceCheck {
  name: string;
  /** Largest absolute difference from the reference; NaN when something was not a number. */
  max_abs_deviation: number;
  tolerance: number;
  ok: boolean;
}

/** Steps of a trajectory between two reads of their losses. */
const STEPS_PER_READ = 50;

/**
 * Runs one set.
 *
 * @throws UserError when the set's files are missing, damaged or of a model that the engine does not compute.
 */
export async function checkReference(gpu: Gpu, set: ReferenceFiles): Promise<ReferenceCheck[]> {
  const checks: ReferenceCheck[] = [];
  if (set.files.has("meta.json")) checks.push(...await checkBatch(gpu, set));
  if (set.files.has("losses.json")) checks.push(...await checkTrajectory(gpu, set));
  return checks;
}

async function checkBatch(gpu: Gpu, set: ReferenceFiles): Promise<ReferenceCheck[]> {
  const meta = await readSettings(set, "meta.json", metaSchema);
  const tolerances = meta.tolerances_max_abs;
  const reference = await readReferenceModel(set, meta, "meta.json");
  const { config, learning_rate } = reference;
  const batch = readBatch(set, config, meta.B * meta.T);
  using outputs = set.safetensors("outputs.safetensors");
  const model = new TrainableModel(gpu, config, reference.options);
  try {
    model.load(reference.weights);
    const expected = outputs.readFloat32("logits"); // [B, T, V]
    const logits = await wholeLogits(gpu, model, batch.input_ids); // [B, T, V]
    const checks = [check("logits", deviation(logits, expected), tolerances.logits)];
    const cached = await cachedDeviation(gpu, model, batch.input_ids, expected);
    checks.push(check("logits_with_kv_cache", cached, tolerances.logits));

    const metrics: StepMetrics[] = [];
    const snapshots = [...set.files].flatMap((name) =>
      /^params_after_(\d+)\.safetensors$/.exec(name)?.[1] ?? []
    )
      .map(Number).sort((a, b) => a - b);
    const losses = meta.losses_before_step_1_to_5_then_after;
    const last = Math.max(1, (losses?.length ?? 1) - 1, snapshots.at(-1) ?? 0);
    for (let step = 1; step <= last; step++) {
      model.step(step, learning_rate, [batch]);
      metrics.push(...await model.readMetrics());
      if (step === 1) {
        const loss = outputs.readFloat32("loss");
        checks.push(check("loss", deviation([metrics[0]!.loss], loss), tolerances.loss));
        const expected = readParameters(set, "grads.safetensors", config);
        const worst = worstOf(await model.weights("gradient"), expected, () => false);
        checks.push(check("grads", worst, tolerances.grads));
      }
      if (!snapshots.includes(step)) continue;
      const weights = await model.weights();
      const after = readParameters(set, `params_after_${step}.safetensors`, config);
      const allowed = tolerances[`params_after_${step}`];
      const most = typeof allowed === "number" ? allowed : tolerances.params_after_5;
      const keys = (name: string, i: number) => isKeyBias(config, name, i);
      checks.push(check(`params_after_${step}`, worstOf(weights, after, keys), most));
      const rest = worstOf(weights, after, (name, i) => !keys(name, i));
      checks.push(check(`key_bias_after_${step}`, rest, tolerances.key_bias_after_steps));
    }
    const norms = meta.grad_norm_before_clip_at_step_1_to_5;
    if (losses !== undefined) {
      const { loss: after } = await model.evaluate([batch]);
      const seen = [...metrics.map(({ loss }) => loss), after].slice(0, losses.length);
      checks.push(check("losses", deviation(seen, losses), tolerances.losses_and_norms));
    }
    if (norms !== undefined) {
      const seen = metrics.map(({ grad_norm }) => grad_norm).slice(0, norms.length);
      checks.push(check("grad_norms", deviation(seen, norms), tolerances.losses_and_norms));
    }
    return checks;
  } finally {
    model.destroy();
  }
}

async function checkTrajectory(gpu: Gpu, set: ReferenceFiles): Promise<ReferenceCheck[]> {
  const settings = await readSettings(set, "losses.json", lossesSchema);
  const { steps, losses_float64: expected, tolerances_max_abs: tolerances } = settings;
  if (expected.length !== steps) {
    throw new UserError(`losses_float64 holds ${expected.length} losses, steps is ${steps}`, {
      file: set.place("losses.json"),
    });
  }
  const reference = await readReferenceModel(set, settings, "losses.json");
  const batchOf = trajectoryData(set, settings, reference);
  const model = new TrainableModel(gpu, reference.config, reference.options);
  try {
    model.load(reference.weights);
    const losses: number[] = [];
    for (let step = 1; step <= steps; step++) {
      model.step(step, reference.learning_rate, [batchOf(step - 1)]);
      if (step % STEPS_PER_READ !== 0 && step !== steps) continue;
      losses.push(...(await model.readMetrics()).map(({ loss }) => loss));
    }
    return [check(`losses_of_${steps}_steps`, deviation(losses, expected), tolerances.loss)];
  } finally {
    model.destroy();
  }
}

/** The batch of a step, counted from 0, in the order that `losses.json` states. */
function trajectoryData(
  set: ReferenceFiles,
  { B, T, data_order }: { B: number; T: number; data_order: string },
  { config }: ReferenceModel,
): (step: number) => MicroBatch {
  const stride = Number(
    /\(\(?s\*B\s*\+\s*b\)?\s*\*\s*(\d+)\)\s*mod\s*\(len\s*-\s*T\s*-\s*1\)/.exec(data_order)?.[1],
  );
  if (!(stride > 0)) {
    throw new UserError(`data_order is of an unknown form: ${data_order}`, {
      file: set.place("losses.json"),
      hint: "expected: row b of step s starts at ((s*B+b)*N) mod (len-T-1)",
    });
  }
  using file = set.safetensors("tokens.safetensors");
  const tokens = readTokens(file, "tokens", config);
  if (tokens.length < T + 2) {
    throw new UserError(`holds ${tokens.length} tokens, too few for T ${T}`, { file: file.name });
  }
  return (step) => {
    const input_ids = new Uint32Array(B * T); // [B, T]
    const targets = new Uint32Array(B * T); //   [B, T]
    for (let b = 0; b < B; b++) {
      const start = ((step * B + b) * stride) % (tokens.length - T - 1);
      input_ids.set(tokens.subarray(start, start + T), b * T);
      targets.set(tokens.subarray(start + 1, start + T + 1), b * T);
    }
    return { input_ids, targets };
  };
}

function readBatch(set: ReferenceFiles, config: ModelConfig, count: number): MicroBatch {
  using file = set.safetensors("batch.safetensors");
  const ids = (name: string) => {
    const tokens = readTokens(file, name, config);
    if (tokens.length === count) return tokens;
    throw new UserError(`${name} holds ${tokens.length} tokens, B × T of meta.json is ${count}`, {
      file: file.name,
    });
  };
  return { input_ids: ids("input_ids"), targets: ids("targets") };
}

/** Logits of a whole batch by the weights of a training, [B, T, V]. */
async function wholeLogits(gpu: Gpu, model: TrainableModel, input_ids: MicroBatch["input_ids"]) {
  const { batch_size: B, max_seq_length: T } = model.options;
  const graph = logitsGraph(model.config, { B, T });
  const program = new Program(gpu, plan(graph, gpu, model.store.layout), model.store, new KernelCache(gpu));
  try {
    program.write("input_ids", input_ids);
    program.run();
    return await program.read("logits");
  } finally {
    program.destroy();
  }
}

/** Deviation of the last logits of every row when it is read in through the KV cache: all but two tokens, then one by one. */
async function cachedDeviation(
  gpu: Gpu,
  model: TrainableModel,
  input_ids: MicroBatch["input_ids"], // [B, T]
  expected: Float32Array, //             [B, T, V]
): Promise<number> {
  const { batch_size: B, max_seq_length: T } = model.options;
  const V = model.config.vocab_size;
  const generator = new Generator(gpu, model.config, model.store);
  let most = 0;
  try {
    for (let b = 0; b < B; b++) {
      generator.reset();
      const row = input_ids.subarray(b * T, (b + 1) * T); // [T]
      const at = Math.max(1, T - 2);
      let logits = await generator.feed(row.subarray(0, at)); // [V]
      for (let t = at; t <= T; t++) {
        const end = (b * T + t) * V;
        most = worse(most, deviation(logits, expected.subarray(end - V, end)));
        if (t < T) logits = await generator.feed([row[t]!]);
      }
    }
  } finally {
    generator.destroy();
  }
  return most;
}

/** Whether element i of a parameter is a key's bias, whose gradient is zero but for rounding: `c_attn.bias[D:2D]`. */
function isKeyBias({ n_embd }: ModelConfig, name: string, i: number): boolean {
  return name.endsWith("c_attn.bias") && i >= n_embd && i < 2 * n_embd;
}

/** Largest difference over all parameters, of the elements that are not left out. */
function worstOf(actual: Weights, expected: Weights, leftOut: (name: string, i: number) => boolean): number {
  let most = 0;
  for (const [name, { data }] of expected) {
    const seen = actual.get(name)!.data;
    for (let i = 0; i < data.length; i++) {
      if (!leftOut(name, i)) most = worse(most, Math.abs(seen[i]! - data[i]!));
    }
  }
  return most;
}

function deviation(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return NaN;
  let most = 0;
  for (let i = 0; i < expected.length; i++) most = worse(most, Math.abs(actual[i]! - expected[i]!));
  return most;
}

/** The larger of two deviations; what is not a number is worst. */
function worse(a: number, b: number): number {
  return Number.isNaN(a) || a > b ? a : b;
}

function check(name: string, max_abs_deviation: number, tolerance: number): ReferenceCheck {
  return { name, max_abs_deviation, tolerance, ok: max_abs_deviation <= tolerance };
}
