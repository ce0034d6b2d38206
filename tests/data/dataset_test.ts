/** Batches: pure functions of (seed, step), true to the text, and evaluation that counts each token once. */

import assert from "assert";
import { CharTokenizer, Dataset, IGNORED_TARGET } from "../../data/mod.ts";
import { UserError } from "../../common/mod.ts";

/** A dataset whose token at place i is i, so that every window shows where it was cut. */
function countingDataset(n: number, n_train: number): Dataset {
  const tokens = new Uint32Array(n).map((_, i) => i);
  return new Dataset(tokens, new CharTokenizer(["a", "\uFFFD"]), {
    format: "chatgot-dataset",
    format_version: 1,
    name: "counting",
    dtype: "uint32",
    counts: { files: 1, bytes: n, documents: 1, tokens: n },
    splits: { train: { start: 0, end: n_train }, val: { start: n_train, end: n } },
    settings: { tokenizer: "char", split_ratio: n_train / n },
    source_digest: "",
    tokens_digest: "",
    tokenizer: { kind: "char" },
  }, "nowhere");
}

const size = { batch_size: 4, max_seq_length: 7 };

Deno.test("batch() is windows of its split, with the next token as target", () => {
  const data = countingDataset(100, 90);
  for (const [split, first, end] of [["train", 0, 90], ["val", 90, 100]] as const) {
    for (let step = 0; step < 50; step++) {
      const { input_ids, targets } = data.batch(split, { seed: 3, step, ...size });
      assert.equal(input_ids.length, 28);
      for (let i = 0; i < 28; i++) {
        assert.equal(targets[i], input_ids[i]! + 1);
        if (i % 7 > 0) assert.equal(input_ids[i], input_ids[i - 1]! + 1);
        assert(input_ids[i]! >= first && targets[i]! < end);
      }
    }
  }
});

Deno.test("batch() is a pure function of seed and step, in any order and from another dataset object", () => {
  const data = countingDataset(1000, 900);
  const forward = Array.from({ length: 20 }, (_, step) => data.batch("train", { seed: 1, step, ...size }));
  const other = countingDataset(1000, 900);
  for (let step = 19; step >= 0; step--) {
    assert.deepEqual(other.batch("train", { seed: 1, step, ...size }), forward[step]);
  }
  const starts = forward.flatMap(({ input_ids }) => [...input_ids].filter((_, i) => i % 7 === 0));
  assert(new Set(starts).size > 70, "windows differ within and between steps");
  assert.notDeepEqual(data.batch("train", { seed: 2, step: 0, ...size }), forward[0]);
  assert.notDeepEqual(
    data.batch("val", { seed: 1, step: 0, ...size }).input_ids.map((id) => id - 900),
    forward[0]!.input_ids,
  );
});

Deno.test("batch() reaches every window of the split, the first and the last included, about evenly", () => {
  const data = countingDataset(30, 20);
  const counts = new Map<number, number>();
  for (let step = 0; step < 2000; step++) {
    const { input_ids } = data.batch("train", { seed: 9, step, ...size });
    for (let b = 0; b < 4; b++) counts.set(input_ids[b * 7]!, (counts.get(input_ids[b * 7]!) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].sort((a, b) => a - b), Array.from({ length: 13 }, (_, i) => i));
  for (const count of counts.values()) assert(Math.abs(count - 8000 / 13) < 120, String(count));
});

Deno.test("a split of exactly one window works; one token less is a UserError with both numbers", () => {
  const data = countingDataset(18, 8);
  assert.deepEqual(
    [...data.batch("train", { seed: 1, step: 0, batch_size: 1, max_seq_length: 7 }).input_ids],
    [
      0,
      1,
      2,
      3,
      4,
      5,
      6,
    ],
  );
  data.checkContext(7);
  for (
    const call of [
      () => data.checkContext(8),
      () => data.batch("train", { seed: 1, step: 0, batch_size: 1, max_seq_length: 8 }),
    ]
  ) {
    assert.throws(
      call,
      (e) =>
        e instanceof UserError && /shorter than the context/.test(e.message) && /8 tokens/.test(e.message) &&
        /max_seq_length 8/.test(e.message),
    );
  }
});

Deno.test("evaluationBatches() has every token but the first as a target exactly once", () => {
  for (const n of [2, 3, 8, 27, 28, 29, 30, 56, 57, 100]) {
    for (const [B, T] of [[4, 7], [1, 1], [3, 10], [1, 200]] as const) {
      const data = countingDataset(n + 5, 5);
      const seen: number[] = [];
      let counted = 0;
      for (const { input_ids, targets, target_count } of data.evaluationBatches("val", B, T)) {
        assert.equal(input_ids.length, B * T);
        counted += target_count;
        targets.forEach((target, i) => {
          if (target === IGNORED_TARGET) return assert.equal(input_ids[i], 0);
          assert.equal(input_ids[i], target - 1);
          seen.push(target);
        });
      }
      assert.deepEqual(seen, Array.from({ length: n - 1 }, (_, i) => 5 + 1 + i), `n ${n}, B ${B}, T ${T}`);
      assert.equal(counted, n - 1);
    }
  }
  assert.equal([...countingDataset(6, 5).evaluationBatches("val", 2, 2)].length, 0);
});
