/** When a worker that used the GPU is ended: at once in a script, with the next one or the process in the command line. */

import assert from "assert";
import { endBusyWorker, endIdleWorker, endProcessByExit, freeIdleWorker } from "../../pipeline/worker_end.ts";

const echo = () =>
  new Worker(`data:text/javascript,${encodeURIComponent("onmessage = ({ data }) => postMessage(data)")}`, {
    type: "module",
  });

/** Whether a worker answers within so many seconds. */
async function answers(worker: Worker, seconds: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  worker.onmessage = () => resolve(true);
  worker.postMessage("?");
  const timer = setTimeout(() => resolve(false), 1000 * seconds);
  const answered = await promise;
  clearTimeout(timer);
  return answered;
}

const lives = (worker: Worker) => answers(worker, 60); // it may first have to start on a busy machine
const isOver = async (worker: Worker) => !await answers(worker, 0.5);

Deno.test("a worker ends at once, but in a process that ends by exit the last idle one stays until the next", async () => {
  const first = echo();
  assert.ok(await lives(first));
  await endIdleWorker(first);
  assert.ok(await isOver(first));

  endProcessByExit();
  const [second, third, fourth] = [echo(), echo(), echo()];
  await endIdleWorker(second);
  assert.ok(await lives(second));
  await endIdleWorker(third);
  assert.ok(await isOver(second) && await lives(third));
  freeIdleWorker();
  assert.ok(await isOver(third));

  assert.ok(await lives(fourth));
  await endBusyWorker(fourth);
  assert.ok(await isOver(fourth));
});
