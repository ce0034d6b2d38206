/** Sets of reference vectors of any shape, made by the float64 oracle in the form that `tests/reference/README.md` describes. */

import * as path from "path";
import { normal, randomInt } from "../../common/mod.ts";
import {
  type Dtype,
  type ModelConfig,
  parameters,
  toHuggingFaceConfig,
  writeSafetensors,
} from "../../models/mod.ts";
import { Adamw, gpt, type Named } from "../gpu/float64_gpt.ts";

/** Settings of a set. */
export interface SetSettings {
  B: number;
  T: number;
  adamw: { lr: number; betas: [number, number]; eps: number; weight_decay: number; decay_on?: string };
  clip: { max_norm: number } | null;
}

const SEED = 11;

/** Writes `config.json` and `weights.safetensors`; returns the weights. */
async function writeModel(dir: string, config: ModelConfig, prefix: string): Promise<Named> {
  await writeJson(dir, "config.json", toHuggingFaceConfig(config));
  const weights: Named = {};
  parameters(config).forEach(({ name, shape, initializer }, stream) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const mean = initializer === "ones" ? 1 : 0;
    weights[name] = new Float32Array(length).map((_, i) => mean + 0.1 * normal(SEED, stream, i));
  });
  await writeNamed(dir, "weights.safetensors", config, weights, prefix);
  return weights;
}

/** Writes a set with `meta.json`: one batch, five steps. */
export async function writeBatchSet(
  dir: string,
  config: ModelConfig,
  settings: SetSettings,
  prefix = "",
): Promise<void> {
  const { B, T } = settings;
  const V = config.vocab_size;
  const weights = await writeModel(dir, config, prefix);
  const ids = Array.from({ length: B * T }, (_, i) => randomInt(SEED, 1000, i, V));
  const targets = Array.from({ length: B * T }, (_, i) => randomInt(SEED, 1001, i, V));
  await writeSafetensors(path.join(dir, "batch.safetensors"), [
    { name: "input_ids", dtype: "I64", shape: [B, T], data: BigInt64Array.from(ids, BigInt) },
    { name: "targets", dtype: "I64", shape: [B, T], data: BigInt64Array.from(targets, BigInt) },
  ]);
  const optimizer = optimizerOf(config, settings, weights);
  const losses: number[] = [];
  const norms: number[] = [];
  for (let step = 0; step <= 5; step++) {
    const { loss, hidden, gradients } = gpt(config, settings, optimizer.value, ids, targets);
    losses.push(loss);
    if (step === 0) {
      const logits = logitsOf(hidden, weights["wte.weight"]!, config);
      await writeSafetensors(path.join(dir, "outputs.safetensors"), [
        { name: "logits", dtype: "F32", shape: [B, T, V], data: logits },
        { name: "loss", dtype: "F32", shape: [1], data: Float32Array.of(loss) },
      ]);
      await writeNamed(dir, "grads.safetensors", config, gradients, prefix);
    }
    if (step < 5) norms.push(optimizer.step(settings.adamw.lr, gradients));
    if (step === 0 || step === 4) {
      await writeNamed(dir, `params_after_${step + 1}.safetensors`, config, optimizer.value, prefix);
    }
  }
  await writeJson(dir, "meta.json", {
    ...settings,
    losses_before_step_1_to_5_then_after: losses,
    grad_norm_before_clip_at_step_1_to_5: norms,
    tolerances_max_abs: {
      logits: 2e-5,
      loss: 2e-6,
      grads: 2e-6,
      params_after_1: 2e-5,
      params_after_5: 3e-5,
      key_bias_after_steps: 5e-3,
      losses_and_norms: 2e-5,
    },
  });
}

/** Writes a set with `losses.json`: `steps` steps over windows of random tokens. */
export async function writeTrajectorySet(
  dir: string,
  config: ModelConfig,
  settings: SetSettings,
  { steps, stride }: { steps: number; stride: number },
): Promise<void> {
  const { B, T } = settings;
  const weights = await writeModel(dir, config, "");
  const tokens = new Int32Array(1000).map((_, i) => randomInt(SEED, 1002, i, config.vocab_size));
  await writeSafetensors(path.join(dir, "tokens.safetensors"), [
    { name: "tokens", dtype: "I32", shape: [tokens.length], data: tokens },
  ]);
  const optimizer = optimizerOf(config, settings, weights);
  const losses_float64: number[] = [];
  for (let s = 0; s < steps; s++) {
    const starts = Array.from({ length: B }, (_, b) => ((s * B + b) * stride) % (tokens.length - T - 1));
    const window = (shift: number) => starts.flatMap((o) => [...tokens.subarray(o + shift, o + shift + T)]);
    const { loss, gradients } = gpt(config, settings, optimizer.value, window(0), window(1));
    losses_float64.push(loss);
    optimizer.step(settings.adamw.lr, gradients);
  }
  await writeJson(dir, "losses.json", {
    ...settings,
    steps,
    data_order:
      `row b of step s (both from 0) starts at o = ((s*B+b)*${stride}) mod (len-T-1); input = tokens[o:o+T]`,
    losses_float64,
    tolerances_max_abs: { loss: 1e-4 },
  });
}

function optimizerOf(config: ModelConfig, { adamw, clip }: SetSettings, weights: Named): Adamw {
  const matrices = new Set(
    parameters(config).filter(({ shape }) => shape.length === 2).map(({ name }) => name),
  );
  const [beta1, beta2] = adamw.betas;
  return new Adamw(weights, {
    beta1,
    beta2,
    epsilon: adamw.eps,
    weight_decay: adamw.weight_decay,
    grad_clip: clip?.max_norm ?? 0,
  }, (name) => matrices.has(name));
}

function logitsOf(hidden: Float64Array, wte: Named[string], { n_embd: C, vocab_size: V }: ModelConfig) {
  const rows = hidden.length / C;
  const logits = new Float32Array(rows * V); // [B * T, V]
  for (let row = 0; row < rows; row++) {
    for (let v = 0; v < V; v++) {
      let sum = 0;
      for (let c = 0; c < C; c++) sum += hidden[row * C + c]! * wte[v * C + c]!;
      logits[row * V + v] = sum;
    }
  }
  return logits;
}

async function writeNamed(dir: string, file: string, config: ModelConfig, values: Named, prefix: string) {
  const dtype: Dtype = "F32";
  const tensors = parameters(config).map(({ name, shape }) => ({
    name: prefix + name,
    dtype,
    shape,
    data: Float32Array.from(values[name]!),
  }));
  await writeSafetensors(path.join(dir, file), tensors);
}

async function writeJson(dir: string, file: string, value: unknown): Promise<void> {
  await Deno.writeTextFile(path.join(dir, file), JSON.stringify(value));
}
