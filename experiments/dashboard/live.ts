/**
 * News for an open page, as server-sent events (HTML Living Standard, section 9.2): that something changed, not what; the
 * page then asks again. Changes are seen by looking at sizes and times, which works on every file system.
 */

import * as path from "path";
import type { Change } from "./api_types.ts";

/** Looking costs little, and a person sees a second. */
const INTERVAL_MS = 1000;
/** Every so many looks a line goes out anyhow, so that a connection that broke is noticed. */
const LOOKS_PER_PING = 15;
/** More pages than this at a time are not served news. */
const MAX_LISTENERS = 64;

const WATCHED = ["run.json", "metrics.jsonl", "samples.jsonl", "system.jsonl", "events.jsonl"];

/** Tells pages what changed among the runs. */
export class News {
  #listeners = new Set<() => void>();

  /**
   * @param list something that changes whenever the list of runs does
   * @param intervalMs milliseconds between looks
   */
  constructor(private readonly list: () => Promise<string>, private readonly intervalMs = INTERVAL_MS) {}

  /** Whether another page may listen. */
  get isFull(): boolean {
    return this.#listeners.size >= MAX_LISTENERS;
  }

  /**
   * A stream of events that ends when the reader goes or the news close.
   *
   * @param folders real paths of the runs to watch, by id
   * @param withList whether to tell of the list of runs, too
   */
  listen(folders: ReadonlyMap<string, string>, withList: boolean): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    let close = () => {};
    return new ReadableStream({
      start: (controller) => {
        const send = (text: string) => controller.enqueue(encoder.encode(text));
        const watch = new Watch(folders, withList ? this.list : undefined);
        let looks = 0;
        let timer: ReturnType<typeof setTimeout> | undefined;
        const look = async () => {
          const change = await watch.look();
          if (timer === undefined) return;
          if (change !== undefined) send(`event: change\ndata: ${JSON.stringify(change)}\n\n`);
          else if (++looks % LOOKS_PER_PING === 0) send(": still here\n\n");
          timer = setTimeout(look, this.intervalMs);
        };
        close = () => {
          clearTimeout(timer);
          timer = undefined;
          this.#listeners.delete(end);
        };
        const end = () => {
          close();
          controller.close();
        };
        this.#listeners.add(end);
        send("retry: 2000\n\n");
        timer = setTimeout(look, 0);
      },
      cancel: () => close(),
    });
  }

  /** Ends all streams. */
  close(): void {
    [...this.#listeners].forEach((end) => end());
  }
}

/** What was seen when last looked at. */
class Watch {
  #runs = new Map<string, string>();
  #list: string | undefined;

  constructor(
    private readonly folders: ReadonlyMap<string, string>,
    private readonly listNow: (() => Promise<string>) | undefined,
  ) {}

  /** What changed since the last look; undefined for nothing, as after the first. */
  async look(): Promise<Change | undefined> {
    const runs: string[] = [];
    for (const [id, folder] of this.folders) {
      const seen = (await Promise.all(WATCHED.map((name) => stamp(path.join(folder, name))))).join();
      const before = this.#runs.get(id);
      this.#runs.set(id, seen);
      if (before !== undefined && before !== seen) runs.push(id);
    }
    // A folder that can't be read just now is no news; asking for the list tells why.
    const seen = await this.listNow?.().catch(() => undefined);
    const list = this.#list !== undefined && seen !== undefined && this.#list !== seen;
    this.#list = seen ?? this.#list;
    return list || runs.length > 0 ? { list, runs } : undefined;
  }
}

/** Changes whenever the file does; empty where there is none. */
async function stamp(file: string): Promise<string> {
  try {
    const { size, mtime } = await Deno.stat(file);
    return `${size}:${mtime?.getTime()}`;
  } catch {
    return "";
  }
}
