/** Which windows training and evaluation see, and datasets that stay on disk. */

import assert from "assert";
import * as nodePath from "path";
import { Dataset, IGNORED_TARGET, openDataset, prepare, type WindowOptions } from "../../data/mod.ts";
import { FileTokens } from "../../data/file_tokens.ts";
import { shuffled } from "../../data/permutation.ts";
import { UserError } from "../../common/mod.ts";
import { mobyDick } from "./texts.ts";

/** A dataset whose token at place i is i. */
async function counting(n: number, n_train: number, windows: WindowOptions): Promise<Dataset> {
  const folder = await Deno.makeTempDir();
  try {
    const path = nodePath.join(folder, "text.txt");
    await Deno.writeTextFile(path, "x".repeat(100)); // for a header and a tokenizer
    const { tokenizer, header } = await prepare(path, { processed_dir: folder });
    const splits = { train: { start: 0, end: n_train }, val: { start: n_train, end: n } };
    return new Dataset(
      Uint32Array.from({ length: n }, (_, i) => i),
      tokenizer,
      { ...header, splits },
      "",
      windows,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Where the windows of some steps begin. */
function starts(data: Dataset, steps: number, batch_size: number, max_seq_length: number): number[] {
  return Array.from({ length: steps }, (_, step) => {
    const { input_ids, targets } = data.batch("train", { seed: 5, step, batch_size, max_seq_length });
    return Array.from({ length: batch_size }, (_, b) => {
      for (let t = 0; t < max_seq_length; t++) {
        assert.equal(input_ids[b * max_seq_length + t], input_ids[b * max_seq_length]! + t);
        assert.equal(targets[b * max_seq_length + t], input_ids[b * max_seq_length]! + t + 1);
      }
      return input_ids[b * max_seq_length]!;
    });
  }).flat();
}

Deno.test("sequences side by side: each is seen once before any is seen again", async () => {
  const data = await counting(110, 101, { sequence_length: 10 });
  const all = starts(data, 10, 5, 10); // five rounds of ten sequences
  for (let round = 0; round < 5; round++) {
    const seen = all.slice(10 * round, 10 * round + 10);
    assert.deepEqual([...seen].sort((a, b) => a - b), [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
  }
  assert.notDeepEqual(all.slice(0, 10), all.slice(10, 20), "rounds differ");
  assert.notDeepEqual(all.slice(0, 10), [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
});

Deno.test("without shuffle windows are in the order of the text; stride makes them overlap", async () => {
  assert.deepEqual(starts(await counting(50, 41, { shuffle: false }), 2, 3, 10), [0, 10, 20, 30, 0, 10]);
  assert.deepEqual(
    starts(await counting(50, 41, { shuffle: false, sequence_length: 20, stride: 5 }), 2, 3, 8),
    [0, 5, 10, 15, 20, 0],
  );
  const strided = starts(await counting(50, 41, { stride: 4 }), 4, 2, 10);
  assert.deepEqual([...strided].sort((a, b) => a - b), [0, 4, 8, 12, 16, 20, 24, 28]);
});

Deno.test("a context longer than the sequences is a UserError", async () => {
  const data = await counting(50, 41, { sequence_length: 8 });
  data.checkContext(8);
  assert.throws(
    () => data.checkContext(9),
    (e) => e instanceof UserError && /sequence_length 8 is shorter than .*max_seq_length 9/.test(e.message),
  );
  const long = await counting(50, 41, { sequence_length: 60 });
  assert.throws(() => long.checkContext(9), /shorter than the context.*sequence_length 60 needs at least 61/);
});

Deno.test("shuffled() is a permutation for every size, another one for another seed or round", () => {
  const order = (size: number, seed: number, round: number) =>
    Array.from({ length: size }, (_, place) => shuffled(place, size, { seed, stream: 3, round }));
  for (const size of [1, 2, 3, 5, 16, 17, 100, 1000, 4097]) {
    assert.equal(new Set(order(size, 1, 0)).size, size);
    assert(order(size, 1, 0).every((number) => number >= 0 && number < size));
  }
  assert.notDeepEqual(order(100, 1, 0), order(100, 2, 0));
  assert.notDeepEqual(order(100, 1, 0), order(100, 1, 1));
  // About as often up as down, and every place goes everywhere.
  const firsts = new Set(Array.from({ length: 2000 }, (_, round) => order(20, 1, round)[0]));
  assert.equal(firsts.size, 20);
});

Deno.test("sliding evaluation counts every target once, with at least T - stride tokens before it", async () => {
  for (const n of [2, 3, 8, 9, 10, 30, 57, 100]) {
    const data = await counting(n + 5, 5, {});
    for (const [B, T, stride] of [[1, 8, 3], [4, 8, 8], [3, 8, 1], [2, 5, 4]] as const) {
      const seen: number[] = [];
      for (const { input_ids, targets, target_count } of data.evaluationBatches("val", B, T, stride)) {
        const counted = [...targets.entries()].filter(([, target]) => target !== IGNORED_TARGET);
        assert.equal(counted.length, target_count);
        for (const [i, target] of counted) {
          assert.equal(input_ids[i], target - 1);
          const row = input_ids.subarray(i - i % T, i + 1); // what the token may look back on
          assert.deepEqual([...row], Array.from(row, (_, k) => target - row.length + k));
          assert(row.length > T - stride || target - 6 < T, `${target} sees ${row.length}`);
          seen.push(target);
        }
      }
      assert.deepEqual(
        seen,
        Array.from({ length: n - 1 }, (_, i) => 6 + i),
        `n ${n}, B ${B}, T ${T}, ${stride}`,
      );
    }
  }
});

Deno.test("a dataset that stays on disk gives what one in memory gives", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = nodePath.join(folder, "moby.txt");
    await Deno.writeTextFile(path, (await mobyDick()).slice(0, 200_000));
    for (const tokenizer of ["char", "gpt2"] as const) {
      const held = await prepare(path, { tokenizer, processed_dir: folder });
      const onDisk = await openDataset(held.folder, { held_bytes: 0 });
      assert(held.train instanceof Uint16Array && onDisk.train instanceof FileTokens);
      assert.deepEqual([...onDisk.val], [...held.val]);
      assert.deepEqual(onDisk.train.subarray(7, 12), held.train.subarray(7, 12));
      assert.equal(onDisk.val.subarray(onDisk.val.length - 2, onDisk.val.length + 9).length, 2);
      const size = { batch_size: 4, max_seq_length: 33 };
      for (let step = 0; step < 20; step++) {
        for (const split of ["train", "val"] as const) {
          assert.deepEqual(
            onDisk.batch(split, { seed: 1, step, ...size }),
            held.batch(split, { seed: 1, step, ...size }),
          );
        }
      }
      assert.deepEqual([...onDisk.evaluationBatches("val", 4, 33)], [
        ...held.evaluationBatches("val", 4, 33),
      ]);
      assert.equal(onDisk.targetBytes("val"), held.targetBytes("val"));
      const text = held.tokenizer.decode(held.val.subarray(1));
      if (tokenizer === "char") assert.equal(held.targetBytes("val"), new TextEncoder().encode(text).length);
      await Deno.truncate(nodePath.join(held.folder, "tokens.bin"), 100);
      assert.throws(() => onDisk.train.subarray(1000, 1001), /has become shorter/);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
