/** A long training takes no more memory at its end than at its beginning. */

import assert from "assert";
import { ended, inFolder, reached, start } from "./training_support.ts";

/** Memory of a process in bytes, as Linux tells it. */
function residentBytes(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]);
}

/** What the garbage collector may leave lying about. */
const SLACK = 64 << 20;

Deno.test({
  name: "memory is flat over 2,000 steps",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inFolder(async (dir) => {
      const flags = ["--max-steps=2000", "--log-interval=10", "--checkpoint-interval=200", "--quiet"];
      const child = start(dir, ["train", "--config-path", "tiny.yaml", ...flags]);
      await reached(dir, 400, child);
      const early = residentBytes(child.pid);
      await reached(dir, 1980, child);
      const late = residentBytes(child.pid);
      const { code, err } = await ended(child);
      assert.equal(code, 0, err);
      assert.ok(late < early + SLACK, `${early} bytes after 400 steps, ${late} after 1980`);
    }),
});
