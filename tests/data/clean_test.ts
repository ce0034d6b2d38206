/** What is done to text before it is cut into tokens. */

import assert from "assert";
import * as nodePath from "path";
import { type DataConfig, DATASET_FILES, DatasetStats, prepare } from "../../data/mod.ts";
import { randomInt } from "../../common/mod.ts";

/** The documents that are left of some, and what the statistics say. */
async function cleaned(documents: string[], settings: Partial<DataConfig>) {
  const folder = await Deno.makeTempDir();
  try {
    const path = nodePath.join(folder, "d.jsonl");
    await Deno.writeTextFile(path, documents.map((text) => JSON.stringify({ text }) + "\n").join(""));
    const data = await prepare(path, {
      processed_dir: nodePath.join(folder, "processed"),
      split_ratio: 0,
      separator: "\0",
      ...settings,
    });
    assert.deepEqual(
      await Array.fromAsync(Deno.readDir(data.folder), (entry) => entry.name).then((names) => names.sort()),
      [DATASET_FILES.header, DATASET_FILES.stats, DATASET_FILES.tokens],
      "no index is left behind",
    );
    const stats = await Deno.readTextFile(nodePath.join(data.folder, DATASET_FILES.stats));
    return {
      documents: data.tokenizer.decode(data.val).split("\0"),
      stats: DatasetStats.parse(JSON.parse(stats)),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("lowercase and remove_special_chars", async () => {
  const texts = ["Call ME Ishmaël—ΣΑΣ", "1 + 1 = 2; *no* <b>, “yes”: it's (a) e\u0301-b?!"];
  assert.deepEqual(
    (await cleaned(texts, { lowercase: true })).documents,
    texts.map((text) => text.toLowerCase()),
  );
  assert.deepEqual((await cleaned(texts, { remove_special_chars: true })).documents, [
    "Call ME IshmaëlΣΑΣ",
    "1  1  2; no b, yes: it's (a) e\u0301-b?!",
  ]);
});

Deno.test("lines that stood before are left out if they are long enough, also across documents", async () => {
  const licence = "All rights reserved, no part may be reproduced.";
  const { documents, stats } = await cleaned(
    [`${licence}\nYes.\nYes.\none`, `two\n  ${licence}  \nYes.`, `${licence}\n${licence}`],
    { repeated_line_min_chars: 10 },
  );
  assert.deepEqual(documents, [`${licence}\nYes.\nYes.\none`, "two\nYes."]);
  assert.deepEqual(stats.dropped, { repeated_lines: 3, near_duplicates: 0 });
  assert.equal(stats.documents, 2);
});

Deno.test("near duplicates are left out, the first of them stays; others stay", async () => {
  const words = (seed: number, count: number) =>
    Array.from({ length: count }, (_, i) => `w${randomInt(seed, 1, i, 500)}`);
  const changed = (text: string[], every: number) =>
    text.map((word, i) => i % every === 0 ? `new${i}` : word);
  const originals = Array.from({ length: 30 }, (_, i) => words(i + 1, 400));
  const near = originals.map((text) => changed(text, 150)); //  3 of 400 words: similarity about 0.93
  const far = originals.map((text) => changed(text, 8)); //     an eighth: about 0.23
  const texts = [...originals, ...near, ...far].map((text) => text.join(" "));
  texts.push(originals[0]!.join(", ").toUpperCase()); // the same words
  texts.push("short", "short", "Short!", "another");
  const { documents, stats } = await cleaned(texts, { near_duplicate_threshold: 0.8 });
  assert.deepEqual(documents, [...texts.slice(0, 30), ...texts.slice(60, 90), "short", "another"]);
  assert.equal(stats.dropped.near_duplicates, 33);
});

Deno.test("statistics are those of the text", async () => {
  const { documents, stats } = await cleaned(["ab🐋", "abc de", "x".repeat(9)], {});
  const text = documents.join("\0");
  assert.equal(stats.characters, [...text].length);
  assert.equal(stats.bytes, new TextEncoder().encode(text).length);
  assert.equal(stats.tokens, [...text].length);
  assert.deepEqual(stats.vocabulary, { size: 10, used: 9, coverage: 0.9, unknown: 0 });
  assert.equal(stats.compression.bytes_per_token, stats.bytes / stats.tokens);
  assert.deepEqual(stats.document_characters, [{ up_to: 4, count: 1 }, { up_to: 8, count: 1 }, {
    up_to: 16,
    count: 1,
  }]);
  assert.deepEqual(stats.token_bytes, [{ bytes: 1, count: 19 }, { bytes: 4, count: 1 }]);
  assert.deepEqual(stats.commonest[0], { id: stats.commonest[0]!.id, text: "x", count: 9 });
  assert.equal(stats.samples[0]!.text, text);
});

Deno.test("rare characters become unknown: min_frequency and max_vocab_size", async () => {
  const texts = ["aaaa bbb cc d", "e"];
  assert.deepEqual((await cleaned(texts, { min_frequency: 2 })).documents, [
    "aaaa bbb cc \ufffd\ufffd\ufffd",
  ]);
  const { documents, stats } = await cleaned(texts, { max_vocab_size: 4 });
  assert.deepEqual(documents, ["aaaa bbb \ufffd\ufffd \ufffd\ufffd\ufffd"]);
  assert.deepEqual([stats.vocabulary.size, stats.vocabulary.unknown], [4, 5]);
});
