/** Training in steady state allocates nothing on the device. */

import assert from "assert";
import { inFolder, trainIn } from "./training_support.ts";

const MAKERS = [
  "createBuffer",
  "createTexture",
  "createBindGroup",
  "createShaderModule",
  "createComputePipeline",
  "createQuerySet",
] as const;

/** Counts what is made on the device while `body` runs. */
async function countMade(body: (made: () => number) => Promise<void>): Promise<void> {
  const prototype = GPUDevice.prototype as unknown as Record<string, (...args: unknown[]) => unknown>;
  const originals = MAKERS.map((name) => prototype[name]!);
  let count = 0;
  MAKERS.forEach((name, i) => {
    prototype[name] = function (this: unknown, ...args: unknown[]) {
      count++;
      return originals[i]!.apply(this, args);
    };
  });
  try {
    await body(() => count);
  } finally {
    MAKERS.forEach((name, i) => prototype[name] = originals[i]!);
  }
}

Deno.test("after its first step training makes nothing more on the device", () =>
  inFolder((dir) =>
    countMade(async (made) => {
      const seen: number[] = [];
      const nothingElse = { eval_interval: 0, sample_interval: 0, checkpoint_interval: 0 };
      await trainIn(dir, nothingElse, {
        onProgress: ({ doing }) => doing === null && seen.push(made()),
      });
      const steps = seen.slice(0, -1); // the last word comes after evaluation, sample and checkpoint
      assert.ok(steps.length >= 30 && steps[0]! > 50, `${steps.length} times, ${steps[0]} made`);
      assert.deepEqual(new Set(steps), new Set([steps[0]]));
    })
  ));
