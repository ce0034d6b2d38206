/** Datasets of subword tokens: pieces and threads leave no trace in them, and what is cached is never stale. */

import assert from "assert";
import * as nodePath from "path";
import {
  type DataConfig,
  DATASET_FILES,
  gpt2Tokenizer,
  openDataset,
  prepare,
  tokenizerFromJSON,
  trainBpe,
} from "../../data/mod.ts";
import { UserError } from "../../common/mod.ts";
import { HARD_TEXTS, mobyDick } from "./texts.ts";

interface Places {
  folder: string;
  path: string;
  processed_dir: string;
  text: string;
}

function withText(test: (places: Places) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = await Deno.makeTempDir();
    try {
      const path = nodePath.join(folder, "text.txt");
      const text = `${(await mobyDick()).slice(0, 400_000)}\n${HARD_TEXTS.join("\n")}\n${
        "no_space".repeat(20_000)
      } end`
        .replaceAll("\r\n", "\n")
        .replaceAll("\uFEFF", "");
      await Deno.writeTextFile(path, text);
      await test({ folder, path, processed_dir: nodePath.join(folder, "processed"), text });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  };
}

const all = (data: { train: Iterable<number>; val: Iterable<number> }) => [...data.train, ...data.val];

Deno.test(
  "gpt2: ids are those of the whole text, with threads and without",
  withText(async ({ path, processed_dir, text }) => {
    const one = await prepare(path, { tokenizer: "gpt2", processed_dir }, { threads: 0 });
    const bytes = await Deno.readFile(nodePath.join(one.folder, DATASET_FILES.tokens));
    await Deno.remove(one.folder, { recursive: true });
    const two = await prepare(path, { tokenizer: "gpt2", processed_dir }, { threads: 2 });
    assert.deepEqual(await Deno.readFile(nodePath.join(two.folder, DATASET_FILES.tokens)), bytes);
    // The stretch without a space is longer than a piece and cut within; all before it is as if never cut.
    const before = text.slice(0, text.indexOf("no_space"));
    const expected = gpt2Tokenizer().encode(before);
    const ids = all(two);
    assert.equal(expected.findIndex((id, i) => id !== ids[i]), -1);
    assert.equal(two.tokenizer.decode(ids), text);
  }),
);

Deno.test(
  "bpe: trained on the whole text, with threads and without, and saved with the dataset",
  withText(async ({ path, processed_dir, text }) => {
    const settings = { tokenizer: "bpe", vocab_size: 1200, min_frequency: 2, processed_dir } as const;
    const one = await prepare(path, settings, { threads: 0 });
    const header = await Deno.readTextFile(nodePath.join(one.folder, DATASET_FILES.header));
    await Deno.remove(one.folder, { recursive: true });
    const two = await prepare(path, settings, { threads: 2 });
    assert.equal(await Deno.readTextFile(nodePath.join(two.folder, DATASET_FILES.header)), header);
    assert.equal(two.tokenizer.vocab_size, 1200);
    assert.equal(two.tokenizer.decode(all(two)), text);
    const file = JSON.parse(await Deno.readTextFile(nodePath.join(two.folder, DATASET_FILES.tokenizer)));
    assert.deepEqual(
      tokenizerFromJSON(file).encode("Call me Ishmael."),
      two.tokenizer.encode("Call me Ishmael."),
    );
    const words = new Map<string, number>();
    const pattern =
      /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
    for (const [word] of text.matchAll(pattern)) {
      words.set(word, (words.get(word) ?? 0) + 1);
    }
    const { model } = trainBpe(words, { vocab_size: 400, min_frequency: 2 });
    assert.deepEqual(file.model.merges.slice(0, 60), JSON.parse(JSON.stringify(model.merges.slice(0, 60))));
  }),
);

Deno.test(
  "file: the tokenizer of a tokenizer.json; another content is another dataset",
  withText(async ({ folder, path, processed_dir }) => {
    const tokenizer_file = nodePath.join(folder, "tokenizer.json");
    const settings = { tokenizer: "file", tokenizer_file, processed_dir } as const;
    const train = (vocab_size: number) =>
      Deno.writeTextFile(
        tokenizer_file,
        JSON.stringify(trainBpe(new Map([["the", 3], [" the", 9]]), { vocab_size })),
      );
    await train(259);
    const first = await prepare(path, settings);
    assert.deepEqual([first.tokenizer.kind, first.tokenizer.vocab_size], ["file", 259]);
    await train(260);
    const second = await prepare(path, settings);
    assert.equal(second.tokenizer.vocab_size, 260);
    assert.notEqual(second.folder, first.folder);
    await Deno.writeTextFile(tokenizer_file, "{}");
    await assert.rejects(
      prepare(path, settings),
      (e) => e instanceof UserError && /tokenizer\.json/.test(e.describe()),
    );
    await assert.rejects(
      prepare(path, { ...settings, tokenizer_file: nodePath.join(folder, "no.json") }),
      /no such file/,
    );
  }),
);

Deno.test("documents are joined by the end-of-text token, which the text cannot say", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = nodePath.join(folder, "d.jsonl");
    const documents = [
      "one",
      "two <|endoftext|> inside",
      " three",
      "x".repeat(10),
      ...Array(40_000).fill("ten"),
    ];
    await Deno.writeTextFile(path, documents.map((text) => JSON.stringify({ text }) + "\n").join(""));
    const settings = { separator: "<|endoftext|>", processed_dir: folder, split_ratio: 0.5 };
    const gpt2 = gpt2Tokenizer();
    for (const threads of [0, 1]) {
      const data = await prepare(path, { ...settings, tokenizer: "gpt2" }, { threads });
      const expected = documents.flatMap((text, i) => [...(i > 0 ? [50256] : []), ...gpt2.encode(text)]);
      assert.deepEqual(all(data), expected);
      assert.equal(data.header.counts.documents, documents.length);
      await Deno.remove(data.folder, { recursive: true });
    }
    const bpe = await prepare(path, { ...settings, tokenizer: "bpe", vocab_size: 270 });
    assert.equal(all(bpe).filter((id) => id === bpe.tokenizer.vocab_size - 1).length, documents.length - 1);
    await assert.rejects(
      prepare(path, { ...settings, tokenizer: "char" }),
      (e) =>
        e instanceof UserError &&
        /data\.separator: the tokenizer char has no token <\|endoftext\|>/.test(e.message),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test(
  "settings that change the text or the tokens change the folder, those that choose windows do not",
  withText(async ({ folder, processed_dir }) => {
    const path = nodePath.join(folder, "short.txt");
    await Deno.writeTextFile(path, "Call me Ishmael. ".repeat(20));
    const base: Partial<DataConfig> = { processed_dir };
    const same: Partial<DataConfig>[] = [{ stride: 3 }, { sequence_length: 4 }, { shuffle: false }, {
      vocab_size: 999,
    }];
    const other: Partial<DataConfig>[] = [
      { lowercase: true },
      { remove_special_chars: true },
      { separator: "\n" },
      { repeated_line_min_chars: 5 },
      { near_duplicate_threshold: 0.8 },
      { min_frequency: 2 },
      { max_vocab_size: 5 },
      { split_ratio: 0.8 },
      { tokenizer: "gpt2" },
      { tokenizer: "bpe" },
      { tokenizer: "bpe", split_pattern: "gpt4" },
      { tokenizer: "bpe", vocab_size: 260 },
    ];
    const first = (await prepare(path, base)).folder;
    for (const change of same) assert.equal((await prepare(path, { ...base, ...change })).folder, first);
    const folders = [first];
    for (const change of other) folders.push((await prepare(path, { ...base, ...change })).folder);
    assert.equal(new Set(folders).size, folders.length);
  }),
);

Deno.test(
  "progress is told in bytes, stage by stage, and stopping leaves nothing behind",
  withText(async ({ path, processed_dir }) => {
    const size = (await Deno.stat(path)).size;
    const last = new Map<string, number>();
    const settings = { tokenizer: "bpe", vocab_size: 300, processed_dir } as const;
    const { folder } = await prepare(path, settings, {
      onProgress: ({ stage, done, total }) => {
        assert.equal(total, size);
        assert(done >= (last.get(stage) ?? 0));
        last.set(stage, done);
      },
    });
    assert.deepEqual([...last], [["look", size], ["vocabulary", size], ["encode", size]]);
    await openDataset(folder);
    await Deno.remove(folder, { recursive: true });
    for (const stage of ["look", "vocabulary", "encode"]) {
      for (const threads of [0, 2]) {
        const stop = new AbortController();
        const work = prepare(path, settings, {
          threads,
          signal: stop.signal,
          onProgress: (progress) => progress.stage === stage && stop.abort(new UserError("stopped")),
        });
        await assert.rejects(work, /stopped/);
        const left = await Array.fromAsync(Deno.readDir(processed_dir), (entry) => entry.name);
        assert.deepEqual(left, []);
      }
    }
  }),
);

Deno.test(
  "a file that changes while it is read is told, not kept",
  withText(async ({ path, processed_dir }) => {
    let isChanged = false;
    const work = prepare(path, { tokenizer: "gpt2", processed_dir }, {
      onProgress: ({ stage }) => {
        if (stage !== "encode" || isChanged) return;
        isChanged = true;
        Deno.writeTextFileSync(path, "more", { append: true });
      },
    });
    await assert.rejects(
      work,
      (e) => e instanceof UserError && /was changed while it was read/.test(e.message),
    );
    assert.deepEqual(await Array.fromAsync(Deno.readDir(processed_dir)), []);
  }),
);
