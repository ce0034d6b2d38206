/** What the tests of training share: a folder with a corpus and a config of a very small model, and the command in a process. */

import { join } from "path";
import { pcg4d } from "../../common/mod.ts";
import { prepare } from "../../data/mod.ts";
import { readLines } from "../../experiments/mod.ts";
import { train, type TrainedRun, type TrainOptions } from "../../mod.ts";

const MAIN = join(import.meta.dirname!, "../../mod.ts");
const DENO_JSON = join(import.meta.dirname!, "../../deno.json");

/** A model of two layers, 32 wide; everything happens every few steps. */
export const TINY_CONFIG = `
model: { n_layer: 2, n_head: 2, n_embd: 32, n_positions: 16, dropout: 0.1 }
data: { corpus: corpus.txt, processed_dir: processed }
training:
  max_steps: 60
  batch_size: 4
  learning_rate: 3.0e-3
  warmup_steps: 10
  log_interval: 1
  eval_interval: 20
  eval_batches: 2
  sample_interval: 30
  checkpoint_interval: 7
  keep_checkpoints: 2
generation: { prompt: "the ", max_new_tokens: 12 }
tracking: { runs_dir: runs }
`;

/** Text of a few thousand characters with something in it to learn, the same every time. */
export function corpus(words = 1500): string {
  const known = ["the", "whale", "sea", "ship", "of", "and", "call", "me", "white", "captain", "a", "was"];
  return Array.from({ length: words }, (_, i) => known[pcg4d(1, 2, 3, i)[0]! % known.length]).join(" ");
}

/** Runs a test in a folder of its own with `corpus.txt` and `tiny.yaml`. */
export async function inFolder(test: (dir: string) => Promise<void>, config = TINY_CONFIG): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(dir, "corpus.txt"), corpus());
    await Deno.writeTextFile(join(dir, "tiny.yaml"), config);
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Trains in a folder of `inFolder`. */
export async function trainIn(
  dir: string,
  training: NonNullable<TrainOptions["training"]> = {},
  options: TrainOptions = {},
): Promise<TrainedRun> {
  const data = await prepare(join(dir, "corpus.txt"), { processed_dir: join(dir, "processed") });
  return await train({
    model: join(dir, "tiny.yaml"),
    data,
    training,
    runs_dir: join(dir, "runs"),
    warn: () => {},
    ...options,
  });
}

/** Starts `chatgot` in a folder. */
export function start(dir: string, args: string[], stdin: "null" | "piped" = "null"): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", "--no-check", "--config", DENO_JSON, MAIN, ...args],
    cwd: dir,
    env: { INIT_CWD: dir, NO_COLOR: "1" },
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** What a process said. */
export interface Ended {
  code: number;
  out: string;
  err: string;
}

/** Waits for a process. */
export async function ended(child: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await child.output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

/** Runs `chatgot` in a folder to its end. */
export function chatgot(dir: string, ...args: string[]): Promise<Ended> {
  return ended(start(dir, args));
}

/** The folder's only run. */
export function onlyRun(dir: string): string {
  const names = Array.from(Deno.readDirSync(join(dir, "runs")), (entry) => entry.name);
  if (names.length !== 1) throw new Error(`expected one run, found ${names.join(", ")}`);
  return join(dir, "runs", names[0]!);
}

/** What of a run's metrics must come out the same again: all but times. */
export function measured(run: string): Record<string, unknown>[] {
  return readLines(run, "metrics").map(({ time: _time, tokens_per_second: _rate, ...line }) => line);
}

/** Waits until the run has written metrics of a step. Throws when the process ends before. */
export async function reached(dir: string, step: number, child: Deno.ChildProcess): Promise<void> {
  let hasEnded = false;
  child.status.then(() => hasEnded = true);
  while (!hasEnded) {
    if (lastStep(dir) >= step) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`the process ended before step ${step}`);
}

/** The last step in the metrics of the folder's only run; -1 while there is none. */
export function lastStep(dir: string): number {
  try {
    return lastStepOf(onlyRun(dir));
  } catch {
    return -1;
  }
}

/** The last step in a run's metrics; -1 while there are none. */
export function lastStepOf(run: string): number {
  try {
    const lines = Deno.readTextFileSync(join(run, "metrics.jsonl")).split("\n");
    return Number(/^\{"step":(\d+)/.exec(lines.at(-2) ?? "")?.[1] ?? -1);
  } catch {
    return -1;
  }
}
