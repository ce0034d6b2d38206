/** Work on pieces in several threads, with results in the order of the pieces and few of them in memory at once. */

import type { Piece } from "./pieces.ts";
import { trainBpe } from "../tokenizers/train_bpe.ts";
import type { ByteLevelJson } from "../tokenizers/write_tokenizer_json.ts";
import { type Results, type Tasks, type Training, workOf } from "./work.ts";

/** Threads that do one task. With none it is done right here. */
export class Pool<K extends keyof Tasks> {
  private readonly threads: Thread<K>[];
  private readonly work: ((piece: Piece) => Results[K]) | undefined;
  private turn = 0;

  constructor(task: Tasks[K], threads: number) {
    this.threads = Array.from({ length: threads }, () => new Thread<K>(task));
    if (threads === 0) this.work = workOf<K>(task);
  }

  /** Results for all pieces, in their order. */
  async *map(pieces: AsyncIterable<Piece>): AsyncGenerator<Results[K]> {
    const pending: Promise<Results[K]>[] = [];
    const most = 2 * this.threads.length; // so that each has one to do while another waits for it
    try {
      for await (const piece of pieces) {
        pending.push(this.run(piece));
        while (pending.length > most) yield await pending.shift()!;
      }
      while (pending.length > 0) yield await pending.shift()!;
    } finally {
      await Promise.allSettled(pending);
    }
  }

  private run(piece: Piece): Promise<Results[K]> {
    if (this.work !== undefined) {
      const { work } = this;
      return new Promise((resolve) => resolve(work(piece)));
    }
    return this.threads[this.turn++ % this.threads.length]!.run(piece);
  }

  [Symbol.dispose](): void {
    this.threads.forEach((thread) => thread.stop());
  }
}

/** A thread that runs `prepare_worker.ts`. */
function startWorker(): Worker {
  return new Worker(new URL("./prepare_worker.ts", import.meta.url), { type: "module" });
}

/** Trains a BPE in a thread of its own, whose memory is free again when it is done; without threads right here. */
export async function trainInThread(training: Training, threads: number): Promise<ByteLevelJson> {
  if (threads === 0) return trainBpe(training.words, training.options);
  const worker = startWorker();
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<ByteLevelJson>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`the worker that trains a BPE failed: ${event.message}`));
      };
      worker.postMessage(training);
    });
  } finally {
    worker.terminate();
  }
}

/** A worker that answers in the order it was asked. */
class Thread<K extends keyof Tasks> {
  private readonly worker = startWorker();
  private readonly waiting: { resolve: (result: Results[K]) => void; reject: (error: Error) => void }[] = [];
  private failure: Error | undefined;

  constructor(task: Tasks[K]) {
    this.worker.onmessage = ({ data }: MessageEvent<Results[K]>) => this.waiting.shift()?.resolve(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.failure = new Error(`a worker of prepare failed: ${event.message}`);
      for (const { reject } of this.waiting.splice(0)) reject(this.failure);
    };
    this.worker.postMessage(task);
  }

  run(piece: Piece): Promise<Results[K]> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const { promise, resolve, reject } = Promise.withResolvers<Results[K]>();
    this.waiting.push({ resolve, reject });
    this.worker.postMessage(piece);
    return promise;
  }

  stop(): void {
    this.worker.terminate();
  }
}
