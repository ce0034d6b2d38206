/** What people see while they wait: numbers in a few characters and one line that is rewritten. */

import assert from "assert";
import { humanBytes, humanCount, humanDuration, Progress, UserError } from "../../common/mod.ts";

Deno.test("numbers for people", () => {
  const bytes: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [1024 ** 2 - 1, "1 MiB"],
    [128 * 1024 ** 2, "128 MiB"],
    [3.25 * 1024 ** 3, "3.25 GiB"],
  ];
  for (const [n, text] of bytes) assert.equal(humanBytes(n), text);
  const counts: [number, string][] = [[950, "950"], [999_999, "1M"], [1234, "1.23k"], [85_900_000, "85.9M"]];
  for (const [n, text] of counts) assert.equal(humanCount(n), text);
  const durations: [number, string][] = [
    [0.35, "0.35s"],
    [9.996, "10s"],
    [59.6, "1m 00s"],
    [185, "3m 05s"],
    [3599.7, "1h 00m"],
    [7620, "2h 07m"],
    [90_000, "1d 01h"],
    [Infinity, "?"],
  ];
  for (const [n, text] of durations) assert.equal(humanDuration(n), text);
});

function recorded(isTerminal: boolean, quiet = false) {
  let time = 0;
  let text = "";
  const progress = new Progress({
    label: "train",
    total: 100,
    start: 10,
    isTerminal,
    quiet,
    now: () => time,
    write: (piece) => text += piece,
  });
  return { progress, after: (ms: number) => time += ms, text: () => text };
}

Deno.test("a log gets whole lines, seldom, with the rate of this run alone", () => {
  const { progress, after, text } = recorded(false);
  for (let step = 11; step <= 60; step++) {
    after(500);
    progress.update(step, "loss 2.5");
  }
  progress.done();
  const lines = text().trimEnd().split("\n");
  assert.deepEqual(lines, [
    "train 11/100  11%  2.00 step/s  45s left  loss 2.5",
    "train 31/100  31%  2.00 step/s  35s left  loss 2.5",
    "train 51/100  51%  2.00 step/s  25s left  loss 2.5",
    "train 60/100  60%  2.00 step/s  20s left  loss 2.5",
  ]);
});

Deno.test("a terminal gets one line that is rewritten, and notes above it", () => {
  const { progress, after, text } = recorded(true);
  after(1000);
  progress.update(20);
  after(10);
  progress.update(21); // too soon to print
  progress.note("a sample");
  progress.done();
  const screen = text().split("\n").map((line) => line.split("\r\x1b[K").at(-1));
  assert.equal(screen[0], "a sample");
  assert.match(screen[1]!, /^train \[####\.{16}\] 21\/100 {2}21%/);
  assert.equal(screen.length, 3);
});

Deno.test("quiet prints notes alone", () => {
  const { progress, text } = recorded(false, true);
  progress.update(50);
  progress.note("kept");
  progress.done();
  assert.equal(text(), "kept\n");
});

Deno.test("a UserError describes itself in one line and as JSON", () => {
  const error = new UserError("is wrong", { file: "a.yaml", line: 3, hint: "mend it" });
  assert.equal(error.describe(), "a.yaml:3: is wrong (mend it)");
  assert.deepEqual(error.toJSON(), {
    error: { message: "is wrong", file: "a.yaml", line: 3, hint: "mend it" },
  });
  assert.deepEqual(new UserError("bare").toJSON(), {
    error: { message: "bare", file: null, line: null, hint: null },
  });
});
