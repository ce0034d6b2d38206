/** When a worker that used the GPU is ended: at once in a script, with the next one or the process in the command line. */

import assert from "assert";
import { endBusyWorker, endIdleWorker, endProcessByExit, freeIdleWorker } from "../../pipeline/worker_end.ts";

const echo = () =>
  new Worker(`data:text/javascript,${encodeURIComponent("onmessage = ({ data }) => postMessage(data)")}`, {
    type: "module",
  });

/** Whether a worker answers within a second. */
async function lives(worker: Worker): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  worker.onmessage = () => resolve(true);
  worker.postMessage("?");
  const timer = setTimeout(() => resolve(false), 1000);
  const answered = await promise;
  clearTimeout(timer);
  return answered;
}

Deno.test("a worker ends at once, but in a process that ends by exit the last idle one stays until the next", async () => {
  const first = echo();
  assert.ok(await lives(first));
  await endIdleWorker(first);
  assert.ok(!await lives(first));

  endProcessByExit();
  const [second, third, fourth] = [echo(), echo(), echo()];
  await endIdleWorker(second);
  assert.ok(await lives(second));
  await endIdleWorker(third);
  assert.ok(!await lives(second) && await lives(third));
  freeIdleWorker();
  assert.ok(!await lives(third));

  assert.ok(await lives(fourth));
  await endBusyWorker(fourth);
  assert.ok(!await lives(fourth));
});
