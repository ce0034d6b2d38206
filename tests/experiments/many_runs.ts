/**
 * Makes a folder of many runs, as the tracker writes them, to test and measure lists, comparisons and the dashboard on:
 *
 *     deno run -A tests/experiments/many_runs.ts <folder> [runs=1000] [points=10000]
 *
 * The same arguments give the same files. Of every hundred runs some were killed, failed, or wrote NaN.
 */

import { join } from "path";
import { stringify } from "yaml";
import { sha256 } from "../../common/mod.ts";
import { MetricSummaries } from "../../experiments/tracker/metric_summary.ts";

/** How many runs, and how long. */
export interface ManyRuns {
  runs: number;
  /** Lines of each `metrics.jsonl`. */
  points: number;
}

/** How the run of this number ended: most as they should. */
function statusOf(run: number): "completed" | "running" | "failed" | "interrupted" {
  return run % 100 === 7
    ? "running"
    : run % 50 === 3
    ? "failed"
    : run % 25 === 4
    ? "interrupted"
    : "completed";
}

/** Makes the runs and returns their folders' names, the oldest first. */
export async function makeManyRuns(runsDir: string, { runs, points }: ManyRuns): Promise<string[]> {
  const ids: string[] = [];
  const start = Date.UTC(2026, 0, 1);
  for (let run = 0; run < runs; run++) {
    const began = new Date(start + run * 3_600_000);
    const id = `sweep_${began.toISOString().slice(0, 19).replace("T", "_").replace(/[-:]/g, "")}`;
    await makeRun(join(runsDir, id), run, points, began);
    ids.push(id);
  }
  return ids;
}

async function makeRun(dir: string, run: number, points: number, began: Date): Promise<void> {
  const status = statusOf(run);
  const config = configOf(run, points);
  const yaml = stringify(config);
  for (const folder of ["checkpoints", "artifacts"]) await Deno.mkdir(join(dir, folder), { recursive: true });
  const write = (name: string, text: string) => Deno.writeTextFile(join(dir, name), text);
  const summaries = new MetricSummaries();
  const metrics: string[] = [];
  for (let i = 1; i <= points; i++) {
    const text = JSON.stringify(metricsLine(run, i, points, began, status === "failed"));
    metrics.push(text);
    summaries.add(JSON.parse(text));
  }
  const lines = metrics.join("\n") + "\n";
  const at = (part: number) => new Date(began.getTime() + part * 3_000_000).toISOString();
  await write("metrics.jsonl", lines);
  await write("config.yaml", yaml);
  await write(
    "samples.jsonl",
    [1, 2, 3, 4].map((part) =>
      JSON.stringify({
        step: Math.ceil(points * part * 2.5),
        time: at(part / 4),
        prompt: "Call me ",
        text: `Ishmael, he said ${run} times at ${part}/4.\n`,
      }) + "\n"
    ).join(""),
  );
  await write(
    "system.jsonl",
    Array.from(
      { length: 60 },
      (_, i) =>
        JSON.stringify({
          step: Math.ceil(points * i / 6),
          time: at(i / 60),
          process_rss_bytes: 4e8 + i * 1e6,
        }) + "\n",
    )
      .join(""),
  );
  await write(
    "events.jsonl",
    [1, 2].map((part) =>
      JSON.stringify({ type: "checkpoint", step: points * part * 5, time: at(part / 2) }) + "\n"
    )
      .join(""),
  );
  const summary = summaries.summary(new TextEncoder().encode(lines).length);
  const ended = status === "running" ? {} : { metrics_summary: summary };
  await write(
    "run.json",
    JSON.stringify(
      {
        format_version: 2,
        id: dir.split(/[/\\]/).at(-1),
        name: `sweep ${run}`,
        config_name: "sweep",
        parents: [],
        archived: false,
        status,
        created: began.toISOString(),
        ended: status === "running" ? null : at(1),
        tags: [run % 2 === 0 ? "even" : "odd", ...run % 10 === 0 ? ["baseline"] : []],
        notes: run % 10 === 0 ? "every tenth run" : "",
        seed: config.training.seed,
        adapter: "llvmpipe (LLVM 15.0.6, 512 bits)",
        adapter_info: null,
        kernel_choices: { operands: "texture", profile: "llvmpipe512" },
        parameters: 800_000,
        flops_per_token: 4_800_000,
        command_line: ["mod.ts", "train", "--name", "sweep"],
        config,
        config_digest: sha256(yaml),
        git_commit: "0".repeat(40),
        git_dirty: false,
        versions: { chatgot: "0.1.0", deno: "2.9.0", v8: "15", typescript: "6", os: "linux x86_64" },
        host: null,
        pid: 1,
        resumed: [],
        summary: {},
        ...ended,
      },
      null,
      2,
    ) + "\n",
  );
}

function configOf(run: number, points: number) {
  const n_layer = 2 + 2 * (run % 3);
  return {
    model: { n_layer, n_head: 4, n_embd: 32 * n_layer, n_positions: 64, vocab_size: 65, resid_pdrop: 0 },
    data: { corpus: "moby-dick", tokenizer: "char", val_fraction: 0.1 },
    training: {
      max_steps: points * 10,
      batch_size: 8 << run % 4,
      learning_rate: 10 ** (-4 + 2 * noise(run, 1)),
      weight_decay: 0.1,
      warmup_steps: 100,
      log_interval: 10,
      seed: 1 + run % 5,
    },
    generation: { prompt: "Call me ", temperature: 0.8, top_k: 0 },
    tracking: { runs_dir: "runs", name: "sweep" },
  };
}

/** A loss that falls as losses do, to a floor that the run's number sets, with noise; a failed run ends in NaN. */
function metricsLine(run: number, i: number, points: number, began: Date, fails: boolean) {
  const floor = 1.2 + noise(run, 2);
  const loss = floor + 3 * (1 + i / 40) ** -0.7 + 0.05 * noise(run, i + 10);
  const gone = fails && i === points ? NaN : loss;
  return {
    step: i * 10,
    time: new Date(began.getTime() + Math.round(3_000_000 * i / points)).toISOString(),
    tokens: i * 10 * 768,
    train_loss: gone,
    ...i % 25 === 0 || i === points ? { val_loss: gone + 0.1 } : {},
    learning_rate: 1e-3 * (1 - i / points),
    grad_norm: 0.5 + noise(run, i + 20),
    tokens_per_second: 9000 + 1000 * noise(run, i + 30),
  };
}

/** A number in [0, 1) that two numbers decide (the hash of a 32-bit counter, after Mueller's integer hash). */
function noise(a: number, b: number): number {
  let x = Math.imul(a + 1, 0x9e3779b1) ^ Math.imul(b + 1, 0x85ebca6b);
  x = Math.imul((x >>> 16) ^ x, 0x45d9f3b);
  x = Math.imul((x >>> 16) ^ x, 0x45d9f3b);
  return (((x >>> 16) ^ x) >>> 0) / 2 ** 32;
}

if (import.meta.main) {
  const [folder, runs = "1000", points = "10000"] = Deno.args;
  if (folder === undefined) throw new Error("give the folder that gets the runs");
  await makeManyRuns(folder, { runs: Number(runs), points: Number(points) });
}
