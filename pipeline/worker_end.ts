/**
 * The end of a worker that used the GPU. Deno frees the driver in the worker's own thread and tells nobody when that is done;
 * a process that exits meanwhile crashes or hangs in the driver (github.com/gfx-rs/wgpu/issues/8365; on llvmpipe up to a
 * quarter of the exits in the 16 ms after `terminate`, none without it). Left out: starting workers, and what they do.
 */

/** Time for the driver to be freed; no guarantee. With 60 kernels and 256 MB nothing crashed from 16 ms after the end on. */
const TIME_TO_FREE_MS = 100;

let endsByExit = false;
let idle: Worker | undefined;

/**
 * Says that this process ends by `Deno.exit`, which takes an idle worker with it unharmed. From here on the worker that ended
 * last is kept until the next one is about to start.
 */
export function endProcessByExit(): void {
  endsByExit = true;
}

/** Frees what the worker that ended last still holds; to be called before the next one starts. */
export function freeIdleWorker(): void {
  idle?.terminate();
  idle = undefined;
}

/** Ends a worker that has done its work and waits for messages. */
export async function endIdleWorker(worker: Worker): Promise<void> {
  freeIdleWorker();
  if (endsByExit) idle = worker;
  else await endBusyWorker(worker);
}

/** Ends a worker in the midst of its work. */
export async function endBusyWorker(worker: Worker): Promise<void> {
  worker.terminate();
  await new Promise((resolve) => setTimeout(resolve, TIME_TO_FREE_MS));
}
