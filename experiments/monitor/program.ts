/** Asking a program: what it prints, or nothing. Whatever goes wrong is no error here, for a run must not feel it. */

/** Milliseconds after which a program that does not answer is ended. */
const PATIENCE_MS = 5000;

/** A program that is asked again and again. */
export class Program {
  /** Where it may be. A place where it is not, or may not be run, is not tried again. */
  #paths: readonly string[];

  /** @param paths full paths, which is what `--allow-run` grants; the first that can be run is taken */
  constructor(...paths: string[]) {
    this.#paths = paths;
  }

  /** What it prints on standard output, whatever its exit status; undefined where it cannot be run or does not answer. */
  async ask(args: string[]): Promise<string | undefined> {
    for (let [path] = this.#paths; path !== undefined; [path] = this.#paths) {
      try {
        return await run(path, args);
      } catch {
        this.#paths = this.#paths.slice(1);
      }
    }
    return undefined;
  }
}

async function run(path: string, args: string[]): Promise<string | undefined> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  try {
    const { stdout } = await new Deno.Command(path, {
      args,
      clearEnv: true, // Deno runs nothing with LD_LIBRARY_PATH and the like, and answers are to be in English
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      signal: patience.signal,
    }).output();
    return patience.signal.aborted ? undefined : new TextDecoder().decode(stdout);
  } finally {
    clearTimeout(timer);
  }
}
