/**
 * All runs below a folder, kept so that looking again reads only what has changed. One that lives on, such as a server's,
 * holds what it knows in memory; what took long to read is also noted in `<runs>/.cache/`, for the next process.
 */

import { join } from "path";
import { fileError, userPath } from "../../common/mod.ts";
import { loadKnown, saveKnown } from "./index_cache.ts";
import { isRunFolder, type KnownRun, readEntry, type RunEntry } from "./run_entry.ts";

/** How much a refresh may do at once. */
export interface RefreshOptions {
  /**
   * After this many milliseconds, metrics that are not known yet are read from the end of their file alone; such runs are
   * `partial`, and the next refresh goes on. @default no bound
   */
  budgetMs?: number;
}

/** A refresh lets other work of its thread go on after this many milliseconds. */
const TURN_MS = 20;

/**
 * The runs of a folder.
 *
 * @example
 * ```ts
 * import { RunIndex } from "./run_index.ts";
 * const runsDir = await Deno.makeTempDir();
 * const index = new RunIndex(runsDir);
 * for (const { id, state, metrics } of await index.refresh()) {
 *   console.log(id, state, metrics.by_name.val_loss?.last);
 * }
 * await Deno.remove(runsDir, { recursive: true });
 * ```
 */
export class RunIndex {
  #known: Map<string, KnownRun> | undefined;
  #foreign: string[] = [];
  #refreshing: Promise<RunEntry[]> | undefined;

  /** The folder that holds the runs, absolute. */
  readonly runsDir: string;

  /** @param runsDir the folder that holds the runs; it need not exist yet */
  constructor(runsDir: string) {
    this.runsDir = userPath(runsDir);
  }

  /** Names of folders that hold no run, as of the last refresh. */
  get foreign(): readonly string[] {
    return this.#foreign;
  }

  /**
   * The runs as they stand now, the newest first. Calls at the same time share one look.
   *
   * @throws UserError if the runs' folder is there and cannot be read; what is wrong with a run is told in its entry
   */
  async refresh(options: RefreshOptions = {}): Promise<RunEntry[]> {
    this.#refreshing ??= this.#look(options).finally(() => this.#refreshing = undefined);
    return await this.#refreshing;
  }

  /**
   * One run as it stands now, without a look at the others; undefined where its folder holds none.
   *
   * @param id the folder's name
   */
  entry(id: string): RunEntry | undefined {
    const dir = join(this.runsDir, id);
    if (!isRunFolder(dir)) return undefined;
    const all = this.#known ??= loadKnown(this.runsDir);
    const known = all.get(id) ?? {};
    all.set(id, known);
    return readEntry(dir, known);
  }

  async #look({ budgetMs = Infinity }: RefreshOptions): Promise<RunEntry[]> {
    const began = performance.now();
    const before = this.#known ??= loadKnown(this.runsDir);
    const known = new Map<string, KnownRun>();
    const entries: RunEntry[] = [];
    const foreign: string[] = [];
    let turn = began;
    let read = 0;
    for (const id of await folderNames(this.runsDir)) {
      const dir = join(this.runsDir, id);
      if (!isRunFolder(dir)) {
        foreign.push(id);
        continue;
      }
      const own = before.get(id) ?? {};
      const at = own.scanned?.place.offset ?? 0;
      entries.push(readEntry(dir, own, performance.now() - began > budgetMs));
      read += Math.abs((own.scanned?.place.offset ?? 0) - at);
      known.set(id, own);
      if (performance.now() - turn > TURN_MS) {
        await new Promise((resolve) => setTimeout(resolve));
        turn = performance.now();
      }
    }
    this.#known = known;
    this.#foreign = foreign;
    saveKnown(this.runsDir, known, read);
    return entries.sort(newestFirst);
  }
}

/**
 * The runs below a folder as they stand now, the newest first. Who looks again and again keeps a `RunIndex`.
 *
 * @param runsDir the folder that holds the runs @default "runs"
 * @throws UserError if the folder is there and cannot be read
 *
 * @example
 * ```ts
 * import { listRuns } from "./run_index.ts";
 * const runsDir = await Deno.makeTempDir();
 * const runs = await listRuns(runsDir); // [{ id: "tiny_20261124_120000", state: "completed", config: {…}, metrics: {…}, … }]
 * await Deno.remove(runsDir, { recursive: true });
 * ```
 */
export async function listRuns(runsDir = "runs"): Promise<RunEntry[]> {
  return await new RunIndex(runsDir).refresh();
}

/** Folders that are not hidden. A link is not followed: what lies outside the runs' folder is not its run. */
async function folderNames(runsDir: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(runsDir));
    return entries.filter((entry) => entry.isDirectory && !entry.name.startsWith(".")).map(({ name }) =>
      name
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw fileError(error, runsDir);
  }
}

const byName = new Intl.Collator("en", { numeric: true });

/** By the time of beginning, and in the same moment by name; runs that do not tell come last. */
function newestFirst(a: RunEntry, b: RunEntry): number {
  const [x, y] = [a.created ?? "", b.created ?? ""];
  return x < y ? 1 : x > y ? -1 : byName.compare(b.id, a.id);
}
