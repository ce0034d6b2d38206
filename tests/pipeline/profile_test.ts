/** Profiles of a step: the table of `train --profile` and the trace that it leaves in the run's folder. */

import assert from "assert";
import { join } from "path";
import { type KernelTime, profileTable, summarise } from "../../gpu/mod.ts";
import { chatgot, inFolder, onlyRun } from "./training_support.ts";

Deno.test("train --profile accounts for every kernel of a step and leaves a trace in the run's folder", () =>
  inFolder(async (dir) => {
    const { code, out, err } = await chatgot(
      dir,
      ...["train", "--config-path", "tiny.yaml", "--max-steps=2", "--profile", "--json"],
      "--gradient-checkpointing=selective",
    );
    assert.equal(code, 0, err);
    const { profile, step_seconds } = JSON.parse(out);
    const milliseconds = profile.reduce(
      (sum: number, k: { milliseconds: number }) => sum + k.milliseconds,
      0,
    );
    const { forward, backward, recomputed, optimizer } = step_seconds;
    assert.ok(recomputed > 0 && recomputed < backward);
    assert.ok(forward > 0 && backward > 0 && optimizer > 0);
    assert.ok(Math.abs(1000 * (forward + backward + optimizer) - milliseconds) < 1e-9 * milliseconds);
    const kernels = profile.map((k: { kernel: string }) => k.kernel);
    for (const kernel of ["matmul NN", "matmul NT", "matmul TN", "attention", "layer norm", "adamw"]) {
      assert.ok(kernels.includes(kernel), `${kernel} in ${kernels}`);
    }
    const shares = profile.reduce((sum: number, k: { share: number }) => sum + k.share, 0);
    assert.ok(Math.abs(shares - 1) < 1e-9);
    const trace = JSON.parse(await Deno.readTextFile(join(onlyRun(dir), "artifacts", "profile.json")));
    const calls = profile.reduce((sum: number, k: { calls: number }) => sum + k.calls, 0);
    assert.equal(trace.traceEvents.length, calls);
    const again = trace.traceEvents.filter((event: { args: { recomputed?: true } }) => event.args.recomputed);
    const microseconds = again.reduce((sum: number, { dur }: { dur: number }) => sum + dur, 0);
    assert.ok(Math.abs(microseconds / 1e6 - recomputed) < 1e-9 * recomputed);
    for (const event of trace.traceEvents) {
      assert.equal(event.ph, "X"); // a complete event of the Trace Event Format
      assert.ok(event.ts >= 0 && event.dur > 0, JSON.stringify(event));
    }
  }));

Deno.test("a profile sums calls, rates and shares by kernel, the dearest first", () => {
  const times: KernelTime[] = [
    { label: "add | h.0", begin: 0, end: 1000, flops: 2000, bytes: 4000 },
    { label: "mul | h.0", begin: 1000, end: 4000, flops: 9000, bytes: 3000 },
    { label: "add | h.1", begin: 4000, end: 5000, flops: 4000, bytes: 4000 },
  ];
  assert.deepEqual(summarise(times), [
    { kernel: "mul", calls: 1, milliseconds: 0.003, gflops: 3, gigabytes_per_second: 1, share: 0.6 },
    { kernel: "add", calls: 2, milliseconds: 0.002, gflops: 3, gigabytes_per_second: 4, share: 0.4 },
  ]);
  const [head, first] = profileTable(times).split("\n");
  assert.match(head!, /kernel\s+calls\s+ms\s+GFLOP\/s\s+GB\/s\s+share/);
  assert.doesNotMatch(profileTable(times), /again/);
  const again = profileTable(times.map((time, i) => ({ ...time, repeats: i !== 1 })));
  assert.match(again, /\nof them computed again\s+2\s+0\.00\s+40\.0 %$/);
  assert.match(first!, /^mul\s+1\s+0\.00\s+3\.0\s+1\.0\s+60\.0 %$/);
});
