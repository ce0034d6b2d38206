/**
 * Runs of scripts: the tracker without our trainer, for anything that measures something along steps. What cannot be
 * written costs a warning and never stops the script.
 */

import { basename, dirname, join } from "path";
import { stringify } from "yaml";
import { displayPath, makeFolder, UserError, userPath, writeFileAtomic } from "../../common/mod.ts";
import { createRun, type RunTracker } from "./tracker.ts";

/** What is known of a script's run when it begins. */
export interface StartRunOptions {
  /** The run's name, with which its folder's begins. @default "run" */
  name?: string;
  /** What the run was set to, as a tree of plain values. @default {} */
  config?: Record<string, unknown>;
  /** Labels to find it by. @default [] */
  tags?: string[];
  /** Words about it. @default "" */
  notes?: string;
  /** Ids of runs that this one belongs to or came from. @default [] */
  parents?: string[];
  /** The seed that the script used. @default none */
  seed?: number;
  /** The folder that holds the runs. @default "runs" */
  runs_dir?: string;
  /** Seconds from one look at the machine (`system.jsonl`) to the next; 0: none. @default 0 */
  monitor_interval?: number;
  /** Gets warnings, one line each. @default standard error */
  warn?: (line: string) => void;
}

/** What becomes a file of `artifacts/`: bytes, a text, or a file to be copied. */
export type ArtifactContent = Uint8Array | { text: string } | { path: string };

/** How a run can end. */
export type RunEnd = "completed" | "failed" | "interrupted";

/** A run that is being written; `startRun` makes it. */
export class ActiveRun {
  readonly #tracker: RunTracker;
  readonly #warn: (line: string) => void;
  readonly #skipped = new Set<string>();
  #step = 0;
  #finished = false;

  /** @param tracker writes the run @param warn gets warnings */
  constructor(tracker: RunTracker, warn: (line: string) => void) {
    this.#tracker = tracker;
    this.#warn = warn;
  }

  /** The run's folder, absolute. */
  get dir(): string {
    return this.#tracker.dir;
  }

  /** The folder's name, by which the run is called. */
  get id(): string {
    return basename(this.dir);
  }

  /**
   * Writes what was measured at a step: numbers by name. NaN and infinity become null, with an event. Values that are no
   * numbers are left out, with one warning for each name.
   *
   * @param values `step` may be left out: then it is one more than the last, from 1
   */
  log(values: { step?: number; [metric: string]: number | undefined }): void {
    const { step = this.#step + 1, ...measured } = values;
    this.#step = step;
    const numbers = Object.entries(measured).filter(([name, value]) => {
      if (typeof value === "number") return true;
      if (value !== undefined && !this.#skipped.has(name)) {
        this.#skipped.add(name);
        this.#warn(`warning: ${name} is no number and is not logged; texts go to sample() or event()`);
      }
      return false;
    });
    this.#tracker.metrics({ step, ...Object.fromEntries(numbers) as Record<string, number> });
  }

  /** Writes a text that belongs to a step, such as one that a model wrote. @param line `step` is the last one's when left out */
  sample({ step = this.#step, prompt = "", text, ...more }: {
    step?: number;
    prompt?: string;
    text: string;
    [key: string]: unknown;
  }): void {
    this.#tracker.sample({ step, prompt, text, ...more });
  }

  /** Writes that something happened. @param line `type` says what; `step` is the last one's when left out */
  event({ type, step = this.#step, ...more }: { type: string; step?: number; [key: string]: unknown }): void {
    this.#tracker.event({ type, step, ...more });
  }

  /**
   * Puts a file into the run's `artifacts/`, replacing one of that name.
   *
   * @param name the file's name, which may have folders before it: `plots/loss.svg`
   * @returns its path, or undefined if it could not be written, which is a warning
   * @throws UserError if the name leads out of the folder
   */
  async artifact(name: string, content: ArtifactContent): Promise<string | undefined> {
    const path = join(this.dir, "artifacts", ...artifactParts(name));
    try {
      await makeFolder(dirname(path));
      const artifacts = await Deno.realPath(join(this.dir, "artifacts"));
      if (
        !`${await Deno.realPath(dirname(path))}/`.replaceAll("\\", "/").startsWith(
          `${artifacts}/`.replaceAll("\\", "/"),
        )
      ) {
        throw new UserError("a link leads out of the run's folder", { file: displayPath(path) });
      }
      if (content instanceof Uint8Array) await writeFileAtomic(path, content);
      else if ("text" in content) await writeFileAtomic(path, content.text);
      else await Deno.copyFile(userPath(content.path), path);
      return path;
    } catch (error) {
      const why = error instanceof UserError ? error.describe() : String(error);
      this.#warn(`warning: artifact ${name.slice(0, 200)} is not written: ${why}`);
      return undefined;
    }
  }

  /**
   * Ends the run; what is logged after this is dropped. The first call counts.
   *
   * @param status @default "completed"
   * @param summary what the run came to, such as its best loss @default {}
   */
  finish(status: RunEnd = "completed", summary: Record<string, unknown> = {}): void {
    this.#finished = true;
    this.#tracker.finish(status, summary);
  }

  /** At the end of a block that began with `using`: a run that was not finished there was interrupted. */
  [Symbol.dispose](): void {
    if (!this.#finished) this.finish("interrupted");
  }
}

/**
 * Begins a run and makes its folder below `runs_dir`, in the form that the dashboard and `chatgot runs` read.
 *
 * @throws UserError if the folder cannot be made
 *
 * @example
 * ```ts
 * import { startRun } from "./active_run.ts";
 * const runs_dir = await Deno.makeTempDir();
 * const run = await startRun({ name: "parabola", config: { rate: 0.1 }, tags: ["toy"], runs_dir });
 * let x = 1;
 * for (let step = 1; step <= 20; step++) {
 *   x -= 0.1 * 2 * x;
 *   run.log({ step, x, loss: x * x });
 * }
 * await run.artifact("x.txt", { text: `${x}\n` });
 * run.finish("completed", { loss: x * x });
 * await Deno.remove(runs_dir, { recursive: true });
 * ```
 */
export async function startRun(options: StartRunOptions = {}): Promise<ActiveRun> {
  const { name = "run", config = {}, tags = [], notes = "", parents = [], seed = null } = options;
  const { runs_dir = "runs", monitor_interval = 0, warn = (line: string) => console.error(line) } = options;
  const description = {
    runs_dir: userPath(runs_dir),
    config_name: name,
    tags,
    notes,
    parent: parents,
    config_yaml: stringify(config, { blockQuote: false, aliasDuplicateObjects: false }),
    seed,
    monitor_interval,
  };
  return new ActiveRun(await createRun(description, { warn, program: programFolder() }), warn);
}

/** The folder of the script; where the user stands in a notebook, whose program is no file. */
function programFolder(): string {
  try {
    const url = new URL(Deno.mainModule);
    return url.protocol === "file:" ? dirname(url.pathname) : Deno.cwd();
  } catch {
    return Deno.cwd();
  }
}

/** The parts of an artifact's path. Throws `UserError` for one that no file system or none of ours should see. */
function artifactParts(name: string): string[] {
  const parts = name.split("/");
  const isFine = (part: string) => !/^\.{0,2}$/.test(part) && !/[\\\p{Cc}]/u.test(part) && part.length <= 200;
  if (parts.every(isFine)) return parts;
  throw new UserError(`an artifact cannot be called ${JSON.stringify(name.slice(0, 100))}`, {
    hint: "give the name of a file in the run's artifacts folder, such as plots/loss.svg",
  });
}
