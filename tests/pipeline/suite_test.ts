/** The benchmark suite: what its lines hold, what counts as a regression, and baselines that are none. */

import assert from "assert";
import { join } from "path";
import { readJsonl } from "../../common/mod.ts";
import { openGpu } from "../../gpu/mod.ts";
import { raisePeak } from "../../pipeline/peak.ts";
import { compare, type Kind, type Measurement, quartiles } from "../../pipeline/suite_compare.ts";
import { chatgot, inFolder } from "./training_support.ts";

function line(kind: Kind, repeats: number[], changes: Partial<Measurement> = {}): Measurement {
  return { kind, config: "tiny", digest: "d", adapter: "llvmpipe", repeats, ...changes };
}

const verdicts = (now: Measurement[], baseline: Measurement[], tolerance?: number) =>
  compare(now, baseline, tolerance).map(({ verdict }) => verdict);

Deno.test("quartiles are NumPy's", () => {
  assert.deepEqual(quartiles([4, 1, 3, 2]), [1.75, 2.5, 3.25]); // numpy.percentile([1, 2, 3, 4], [25, 50, 75])
  assert.deepEqual(quartiles([15, 20, 35, 40, 50]), [20, 35, 40]);
  assert.deepEqual(quartiles([7]), [7, 7, 7]);
});

Deno.test("a ratio of more than 1 is better, whichever way that is", () => {
  const [speed] = compare([line("train", [110, 120, 130])], [line("train", [90, 100, 110])]);
  assert.equal(speed!.ratio, 1.2);
  assert.deepEqual([speed!.ratio_low, speed!.ratio_high], [115 / 105, 125 / 95]);
  const [loss] = compare([line("loss", [2, 2, 2])], [line("loss", [3, 3, 3])]);
  assert.deepEqual([loss!.ratio, loss!.ratio_low, loss!.ratio_high, loss!.verdict], [
    1.5,
    1.5,
    1.5,
    "improved",
  ]);
  assert.deepEqual([loss!.baseline, loss!.now], [3, 2]);
});

Deno.test("what is worse in all of its spread by more than the tolerance has regressed; else it may be chance", () => {
  const baseline = [line("train", [98, 99, 100, 101, 102])];
  const now = (...repeats: number[]) => [line("train", repeats)];
  assert.deepEqual(verdicts(now(88, 89, 90, 91, 92), baseline), ["regressed"]);
  assert.deepEqual(verdicts(now(60, 70, 90, 110, 120), baseline), ["same"]); // as much slower, but the quartiles meet
  assert.deepEqual(verdicts(now(95, 96, 96, 97, 97), baseline), ["same"]); // slower, but within the tolerance
  assert.deepEqual(verdicts(now(95, 96, 96, 97, 97), baseline, 0.01), ["regressed"]);
  assert.deepEqual(verdicts(now(10, 99, 100, 101, 102), baseline), ["same"]); // one repeat was disturbed
  assert.deepEqual(verdicts(now(118, 119, 120, 121, 122), baseline), ["improved"]);
  assert.deepEqual(verdicts(baseline, baseline), ["same"]);
});

Deno.test("a higher loss and a larger deviation are regressions, each by its own tolerance", () => {
  assert.deepEqual(verdicts([line("loss", [2.5, 2.5, 2.5])], [line("loss", [2.4, 2.4, 2.4])]), ["regressed"]);
  assert.deepEqual(verdicts([line("loss", [2.41, 2.42, 2.41])], [line("loss", [2.4, 2.4, 2.4])]), ["same"]);
  assert.deepEqual(verdicts([line("deviation", [0.15])], [line("deviation", [0.1])]), ["same"]);
  assert.deepEqual(verdicts([line("deviation", [0.3])], [line("deviation", [0.1])]), ["regressed"]);
  assert.deepEqual(verdicts([line("deviation", [0])], [line("deviation", [0])]), ["same"]);
});

Deno.test("only what means the same is compared; of a baseline's lines the last one counts", () => {
  const now = [line("train", [50])];
  assert.deepEqual(verdicts(now, [line("generate", [100])]), ["not in the baseline"]);
  assert.deepEqual(verdicts(now, [line("train", [100], { config: "baby" })]), ["not in the baseline"]);
  assert.deepEqual(verdicts(now, [line("train", [100], { adapter: "card" })]), ["another adapter"]);
  assert.deepEqual(verdicts(now, [line("train", [100], { digest: "e" })]), ["another setting"]);
  assert.deepEqual(verdicts(now, [line("train", [100]), line("train", [51])]), ["same"]);
  const [unjudged] = compare(now, []);
  assert.deepEqual([unjudged!.ratio, unjudged!.baseline, unjudged!.now], [null, null, 50]);
});

const SUITE = ["benchmark", "suite"];

Deno.test("benchmark suite keeps a flat line for each measurement, the same in its file and in --json", () =>
  inFolder(async (dir) => {
    const gpu = await openGpu();
    await raisePeak(gpu, join(dir, "runs"), 100); // which is then not measured
    gpu.close();
    const flags = ["--config-path", "tiny.yaml", "--max-steps", "4", "--json"];
    const { code, out, err } = await chatgot(dir, ...SUITE, ...flags, "--out", "out/one.jsonl");
    assert.equal(code, 0, err);
    const report = JSON.parse(out);
    assert.deepEqual([report.ok, report.out], [true, "out/one.jsonl"]);
    assert.deepEqual(await readJsonl(join(dir, "out/one.jsonl")), report.measurements);
    const [train, generate, loss, deviation] = report.measurements;
    assert.deepEqual(report.measurements.map((m: Measurement) => m.kind), [
      "train",
      "generate",
      "loss",
      "deviation",
    ]);
    for (const measurement of report.measurements) {
      for (const key of ["adapter", "kernels", "chatgot", "deno", "os", "time", "digest"]) {
        assert.equal(typeof measurement[key], "string", key);
      }
      assert.ok("git_commit" in measurement);
      const values = Object.entries(measurement).filter(([key]) => key !== "repeats").map(([, value]) =>
        value
      );
      assert.ok(
        values.every((value) => typeof value !== "object" || value === null),
        JSON.stringify(measurement),
      );
    }
    for (const { tokens_per_second_best, tokens_per_second_median, repeats } of [train, generate]) {
      assert.equal(tokens_per_second_best, Math.max(...repeats));
      assert.ok(repeats.includes(tokens_per_second_median));
    }
    assert.ok(train.mfu > 0 && train.peak_gflops === 100);
    assert.deepEqual([loss.repeats.length, loss.max_steps], [3, 4]);
    assert.equal(new Set(loss.repeats).size, 3); // each seed has its own
    assert.ok(deviation.repeats[0] > 0 && deviation.repeats[0] < 1, JSON.stringify(deviation));

    // The same once more: losses and deviations come out the same, to the last bit.
    const kinds = ["--kind", "loss", "--kind", "deviation", "--compare", "out/one.jsonl"];
    const again = await chatgot(dir, ...SUITE, ...flags, ...kinds);
    assert.equal(again.code, 0, again.err);
    const second = JSON.parse(again.out);
    assert.match(second.out, /^runs\/benchmarks\/\d{8}_\d{6}\.jsonl$/);
    assert.deepEqual(second.measurements.map((m: Measurement) => m.repeats), [
      loss.repeats,
      deviation.repeats,
    ]);
    assert.deepEqual(second.comparison.map((c: { ratio: number }) => c.ratio), [1, 1]);
  }));

Deno.test("--compare with a faster baseline exits with 1 and says what has regressed", () =>
  inFolder(async (dir) => {
    const write = (file: string, ...lines: object[]) =>
      Deno.writeTextFile(join(dir, file), lines.map((l) => JSON.stringify(l) + "\n").join(""));
    await write("now.jsonl", line("train", [50, 51, 52]), line("generate", [9, 10, 11]));
    await write("before.jsonl", line("train", [99, 100, 101]), line("generate", [9, 10, 11]));
    const files = ["--from", "now.jsonl", "--compare", "before.jsonl"];
    const told = await chatgot(dir, ...SUITE, ...files);
    assert.equal(told.code, 1, told.err);
    assert.match(told.out, /^train +tiny +100 +51 +0\.51 +0\.5\d* … 0\.5\d* +regressed$/m);
    assert.match(told.out, /^generate +tiny +10 +10 +1 +0\.9\d* … 1\.1\d* +same$/m);
    const { ok, comparison } = JSON.parse((await chatgot(dir, ...SUITE, ...files, "--json")).out);
    assert.deepEqual([ok, comparison[0].verdict], [false, "regressed"]);
    const lenient = await chatgot(dir, ...SUITE, ...files, "--tolerance", "0.6");
    assert.equal(lenient.code, 0, lenient.out);
  }));

Deno.test("a baseline that is none is one clear error, before anything is measured", () =>
  inFolder(async (dir) => {
    await Deno.writeTextFile(join(dir, "empty.jsonl"), "");
    await Deno.writeTextFile(join(dir, "text.jsonl"), "not\na file of lines\n");
    await Deno.writeTextFile(join(dir, "runs.jsonl"), '{"kind":"train","config":"tiny","step":1}\n');
    const cases: [string[], RegExp][] = [
      [["--compare", "gone.jsonl"], /^error: gone\.jsonl: no such file/],
      [["--compare", "empty.jsonl"], /^error: empty\.jsonl: holds no measurements/],
      [["--compare", "text.jsonl"], /^error: text\.jsonl:1: is not a JSON object/],
      [["--compare", "runs.jsonl"], /^error: runs\.jsonl:1: digest is missing.*repeats is missing/],
      [["--kind", "speed"], /^error: --kind: expected train, generate, loss, deviation, got speed/],
      [["--config-path", "gone.yaml"], /^error: gone\.yaml: no such file/],
    ];
    for (const [flags, message] of cases) {
      const { code, out, err } = await chatgot(dir, ...SUITE, ...flags);
      assert.deepEqual([code, out], [1, ""], err);
      assert.match(err, message);
      assert.equal(err.trimEnd().split("\n").length, 1, err);
    }
  }));
