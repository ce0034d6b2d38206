/** The commands generate, evaluate, plan and benchmark, on a run that was put together by hand. */

import assert from "assert";
import { join } from "path";
import { UserError } from "../../common/mod.ts";
import { prepare, tokenizerFromJSON } from "../../data/mod.ts";
import { openGpu } from "../../gpu/mod.ts";
import {
  type CheckpointContent,
  initialValues,
  initialWeights,
  loadModel,
  type ModelConfig,
  modelConfig,
  parameterCount,
  type Weights,
  writeCheckpoint,
} from "../../models/mod.ts";
import { benchmarkCommand } from "../../pipeline/commands/benchmark.ts";
import { evaluateCommand } from "../../pipeline/commands/evaluate.ts";
import { generateCommand } from "../../pipeline/commands/generate.ts";
import { raisePeak } from "../../pipeline/peak.ts";
import { planCommand } from "../../pipeline/commands/plan.ts";
import { generate, resolveRunConfig, toYaml } from "../../pipeline/mod.ts";
import { gpt } from "../gpu/float64_gpt.ts";
import { printed } from "./printed.ts";
import { ended, inFolder, start, TINY_CONFIG } from "./training_support.ts";

/** A folder with `tiny.yaml` (absolute paths), and a run `run/` of untrained weights with one checkpoint of step 7. */
function withRun(body: (dir: string, config: ModelConfig) => Promise<void>): Promise<void> {
  return inFolder(async (dir) => {
    const text = TINY_CONFIG.replace("corpus.txt", join(dir, "corpus.txt"))
      .replace("processed_dir: processed", `processed_dir: ${join(dir, "processed")}`);
    await Deno.writeTextFile(join(dir, "tiny.yaml"), text);
    const config = await resolveRunConfig({ configPath: join(dir, "tiny.yaml") });
    const { tokenizer } = await prepare(config.data);
    const model = modelConfig({ ...config.model, initializer_range: 0.2 }, tokenizer.vocab_size);
    const content: CheckpointContent = {
      step: 7,
      config: model,
      weight: (parameter) => initialValues(parameter, model, 1),
      optimizerState: ({ shape }) => new Float32Array(shape.reduce((a, b) => a * b, 1)),
      tokenizer: tokenizer.toJSON(),
      state: {},
    };
    await writeCheckpoint(join(dir, "run"), content);
    await Deno.writeTextFile(join(dir, "run", "config.yaml"), toYaml(config));
    await body(dir, model);
  });
}

async function run(command: ReturnType<typeof planCommand>, ...args: string[]): Promise<string> {
  return await printed(() =>
    command.exitOverride().configureOutput({ writeErr: () => {} }).parseAsync(args, { from: "user" })
  );
}

/** The one JSON object that a command prints. */
async function json(command: ReturnType<typeof planCommand>, ...args: string[]) {
  const output = await run(command, ...args, "--json");
  assert.equal(output.trimEnd().split("\n").length, 1, output);
  return JSON.parse(output);
}

const rejects = (promise: Promise<unknown>, message: RegExp) =>
  assert.rejects(promise, (e) => e instanceof UserError && message.test(e.describe()));

Deno.test("generate: the run's settings, flags before them, the same text for the same seed", () =>
  withRun(async (dir) => {
    const model = ["--model-path", join(dir, "run")];
    const first = await json(generateCommand(), ...model);
    assert.equal(first.prompt, "the ");
    assert.equal(first.step, 7);
    assert.equal(first.samples.length, 1);
    assert.equal(first.samples[0].tokens, 12);
    assert.equal([...first.samples[0].text].length, 12);
    const two = await json(generateCommand(), ...model, "--num-samples", "2", "--max-new-tokens", "40");
    assert.equal(two.samples[0].text.slice(0, 12), first.samples[0].text);
    assert.notEqual(two.samples[0].text, two.samples[1].text);
    const other = await json(generateCommand(), ...model, "--seed", "2", "--prompt", "");
    assert.notEqual(other.samples[0].text, first.samples[0].text);
    assert.equal(other.prompt, "\n");
    const stop = two.samples[0].text.slice(20, 23);
    const stopped = await json(
      generateCommand(),
      ...model,
      "--max-new-tokens",
      "40",
      "--stop",
      "never",
      "--stop",
      stop,
    );
    assert.equal(stopped.samples[0].text, two.samples[0].text.slice(0, two.samples[0].text.indexOf(stop)));
    assert.equal(stopped.samples[0].stop, stop);

    const checkpoint = join(dir, "run", "checkpoints", "step_00000007");
    const pieces = await Array.fromAsync(generate(checkpoint, { max_new_tokens: 12, seed: 1 }));
    assert.equal(pieces.join(""), first.samples[0].text);
    const loaded = await loadModel(checkpoint);
    const greedy = { prompt: "sea", temperature: 0, max_new_tokens: 5 };
    const a = await Array.fromAsync(generate(loaded, greedy));
    assert.deepEqual(await Array.fromAsync(generate(loaded, { ...greedy, seed: 9, top_k: 3 })), a);
  }));

Deno.test("generate: several prompts, of flags and of a file, each as it is alone", () =>
  withRun(async (dir) => {
    const model = ["--model-path", join(dir, "run")];
    const file = join(dir, "prompts.txt");
    await Deno.writeTextFile(file, "sea\n\nthe whale\\nthe \r\n");
    const together = await json(
      ...[generateCommand(), ...model, "--num-samples", "2", "--prompt", "", "--prompt", "a"] as const,
      ...["--prompt-file", file],
    );
    const prompts = ["\n", "a", "sea", "the whale\nthe "];
    assert.equal(together.prompt, "\n");
    assert.deepEqual(
      together.samples.map((sample: { prompt: string }) => sample.prompt),
      prompts.flatMap((prompt) => [prompt, prompt]),
    );
    for (const [i, prompt] of prompts.entries()) {
      const alone = await json(generateCommand(), ...model, "--num-samples", "2", "--prompt", prompt);
      assert.deepEqual(together.samples.slice(2 * i, 2 * i + 2), alone.samples);
    }
    await Deno.writeTextFile(file, "\n\n");
    await rejects(run(generateCommand(), ...model, "--prompt-file", file), /prompts\.txt: holds no prompt/);
    await rejects(
      run(generateCommand(), ...model, "--prompt-file", join(dir, "nothing.txt")),
      /nothing\.txt: no such file/,
    );
    await rejects(run(generateCommand(), ...model, "--prompt", "-", "--prompt", "-"), /only once/);
  }));

Deno.test("generate: a bad flag, prompt or model is one clear line", () =>
  withRun(async (dir) => {
    const model = ["--model-path", join(dir, "run")];
    await rejects(
      run(generateCommand(), ...model, "--temperature", "hot"),
      /--temperature: expected a number, got "hot"/,
    );
    await rejects(
      run(generateCommand(), ...model, "--top-p", "0"),
      /--top-p: generation\.top_p.*more than 0, got 0/,
    );
    await rejects(
      run(generateCommand(), ...model, "--max-new-tokens", "1.5"),
      /--max-new-tokens.*whole number/,
    );
    await rejects(run(generateCommand(), "--model-path", join(dir, "nothing")), /nothing: does not exist/);
    await rejects(run(generateCommand(), "--model-path", dir), /holds no model/);
    const weights = join(dir, "run", "checkpoints", "step_00000007", "model.safetensors");
    await Deno.truncate(weights, 1000);
    await rejects(run(generateCommand(), ...model), /no whole checkpoint.*model\.safetensors.*damaged/);
  }));

Deno.test("generate in a process: prompt from standard input, text streams, Ctrl-C ends it with 130", () =>
  withRun(async (dir) => {
    const writer = start(
      dir,
      ["generate", "--model-path", "run", "--prompt", "-", "--max-new-tokens", "5"],
      "piped",
    );
    const stdin = writer.stdin.getWriter();
    await stdin.write(new TextEncoder().encode("the ☃"));
    await stdin.close();
    const piped = await ended(writer);
    assert.equal(piped.code, 0, piped.err);
    assert.match(piped.out, /^the ☃.{5}/s);
    assert.match(piped.err, /^note: the model does not know "☃"/);
    if (Deno.build.os === "windows") return; // no signals there
    const child = start(dir, ["generate", "--model-path", "run", "--max-new-tokens", "1000000"]);
    const reader = child.stdout.getReader();
    for (let seen = 0; seen < 20;) seen += (await reader.read()).value?.length ?? Infinity;
    reader.releaseLock();
    child.kill("SIGINT");
    const { code, err } = await ended(child);
    assert.equal(code, 130, err);
  }));

Deno.test("evaluate: the loss is that of float64, over every token but the first", () =>
  withRun(async (dir, config) => {
    const path = ["--model-path", join(dir, "run")];
    const text = "call me, white whale of the sea";
    await Deno.writeTextFile(join(dir, "text.txt"), text);
    const file = ["--file", join(dir, "text.txt"), "--max-seq-length", "7", "--batch-size", "3"];
    const result = await json(evaluateCommand(), ...path, ...file);

    const loaded = await loadModel(join(dir, "run"));
    const ids = [...tokenizerFromJSON(loaded.tokenizer).encode(text)];
    const values = Object.fromEntries(
      [...initialWeights(config, 1) as Weights].map(([name, { data }]) => [name, data]),
    );
    let sum = 0;
    for (let at = 0; at < ids.length - 1; at += 7) {
      const targets = ids.slice(at + 1, at + 8);
      const size = { B: 1, T: targets.length };
      sum += gpt(config, size, values, ids.slice(at, at + targets.length), targets).loss * targets.length;
    }
    assert.equal(result.tokens, text.length - 1);
    assert.ok(
      Math.abs(result.loss - sum / result.tokens) < 1e-5,
      `${result.loss} and ${sum / result.tokens}`,
    );
    assert.ok(Math.abs(result.perplexity - Math.exp(result.loss)) < 1e-9);

    const val = await json(evaluateCommand(), ...path);
    const train = await json(evaluateCommand(), ...path, "--split", "train", "--batch-size", "50");
    const { length } = await Deno.readTextFile(join(dir, "corpus.txt"));
    assert.equal(val.tokens + train.tokens, length - 2);
    assert.ok(Math.abs(val.bits_per_byte - val.loss / Math.LN2) < 1e-9, "a byte a character");
    assert.equal(val.split, "val");
  }));

Deno.test("evaluate --stride: each token once, from what a window that slides on shows of the text before it", () =>
  withRun(async (dir, config) => {
    const text = "call me, white whale of the sea";
    await Deno.writeTextFile(join(dir, "text.txt"), text);
    const values = Object.fromEntries(
      [...initialWeights(config, 1) as Weights].map(([name, { data }]) => [name, data]),
    );
    const { tokenizer } = await loadModel(join(dir, "run"));
    const ids = [...tokenizerFromJSON(tokenizer).encode(text)];
    /** Summed loss of `count` targets, seen from `start` on. */
    const lossOf = (start: number, count: number) => {
      if (count === 0) return 0;
      const targets = ids.slice(start + 1, start + 1 + count);
      return count * gpt(config, { B: 1, T: count }, values, ids.slice(start, start + count), targets).loss;
    };
    const T = 7;
    for (const stride of [1, 3, 7]) {
      let [sum, scored] = [0, 0];
      for (let start = 0; scored < ids.length - 1; start += stride) {
        const count = Math.min(T, ids.length - 1 - start); // targets of this window
        const seen = scored - start; //                       those that were scored before
        sum += lossOf(start, count) - lossOf(start, seen); //  a prefix's losses are those of the prefix alone
        scored += count - seen;
      }
      const windows = ["--file", join(dir, "text.txt"), "--max-seq-length", `${T}`, "--batch-size", "4"];
      const result = await json(
        evaluateCommand(),
        ...["--model-path", join(dir, "run")],
        ...windows,
        ...["--stride", `${stride}`],
      );
      assert.deepEqual([result.tokens, result.stride], [ids.length - 1, stride]);
      assert.ok(
        Math.abs(result.loss - sum / scored) < 1e-5,
        `${stride}: ${result.loss} and ${sum / scored}`,
      );
    }
    await rejects(
      run(evaluateCommand(), "--model-path", join(dir, "run"), "--max-seq-length", "7", "--stride", "8"),
      /--stride 8 is more than --max-seq-length 7/,
    );
  }));

Deno.test("evaluate: a bad flag or file is one clear line", () =>
  withRun(async (dir) => {
    const path = ["--model-path", join(dir, "run")];
    await rejects(
      run(evaluateCommand(), ...path, "--max-seq-length", "17"),
      /17 is more than the model's n_positions 16/,
    );
    await rejects(
      run(evaluateCommand(), ...path, "--batch-size", "0"),
      /--batch-size: expected a whole number of at least 1/,
    );
    await rejects(run(evaluateCommand(), ...path, "--file", join(dir, "no.txt")), /no\.txt: no such file/);
    await Deno.writeTextFile(join(dir, "one.txt"), "c");
    await rejects(run(evaluateCommand(), ...path, "--file", join(dir, "one.txt")), /1 tokens, at least 2/);
    await rejects(
      run(evaluateCommand(), ...path, "--set", `data.corpus=${join(dir, "none.txt")}`),
      /none\.txt/,
    );
  }));

Deno.test("plan: memory by purpose adds up, and grows with the batch", () =>
  withRun(async (dir, config) => {
    const flags = ["--config-path", join(dir, "tiny.yaml")];
    const small = await json(planCommand(), ...flags);
    const { total, ...parts } = small.memory;
    assert.equal(Object.values(parts as Record<string, number>).reduce((a, b) => a + b, 0), total);
    assert.equal(small.parameters, parameterCount(config));
    assert.equal(small.tokens_per_step, 4 * 16);
    assert.ok(small.flops_per_step > 6 * small.parameters * small.tokens_per_step * 0.5);
    assert.equal(parts.moments, 2 * parts.weights);
    const large = await json(
      planCommand(),
      ...flags,
      "--batch-size",
      "40",
      "--set",
      "training.accumulate_grad_batches=3",
    );
    assert.equal(large.tokens_per_step, 3 * 40 * 16);
    assert.ok(large.memory.activations > 5 * parts.activations);
    assert.equal(large.memory.weights, parts.weights);
    const people = await run(planCommand(), ...flags);
    assert.match(people, /a step +64 tokens = 4 × 16/);
    await rejects(
      run(planCommand(), ...flags, "--max-seq-length", "17"),
      /17 is more than model\.n_positions 16/,
    );
    await rejects(
      run(planCommand(), ...flags, "--batch-size", "1000000000"),
      /there is at most.*lower training\.batch_size/,
    );
    await rejects(
      run(planCommand(), ...flags, "--batch-size", "2000000"),
      /largest buffer holds.*lower training\.batch_size/,
    );
  }));

Deno.test("benchmark: flat keys that a program can read", () =>
  withRun(async (dir) => {
    const runs = join(dir, "runs");
    const flags = [
      "--config-path",
      join(dir, "tiny.yaml"),
      "--max-steps",
      "6",
      "--set",
      `tracking.runs_dir=${runs}`,
    ];
    const gpu = await openGpu();
    await raisePeak(gpu, runs, 100); // which is then not measured
    gpu.close();
    for (const what of ["train", "generate"]) {
      const report = await json(benchmarkCommand(), what, ...flags);
      assert.equal(report.config, "tiny");
      assert.equal(report.steps, 6);
      assert.equal(report.batch_size, what === "train" ? 4 : 1);
      assert.equal(report.max_seq_length, 16);
      assert.equal(typeof report.adapter, "string");
      const { tokens_per_second_best: best, tokens_per_second_median: median } = report;
      assert.ok(best >= median && median > 0);
      if (what === "train") {
        assert.equal(report.peak_gflops, 100);
        assert.equal(report.mfu, report.model_flops_per_token * median / 1e11);
      }
      assert.ok(report.gflops > 0 && report.first_step_seconds > 0 && report.peak_memory_bytes > 2 ** 20);
    }
    await rejects(run(benchmarkCommand(), "train", ...flags.slice(0, 2), "--max-steps", "-1"), /--max-steps/);
  }));
