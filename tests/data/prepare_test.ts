/** Prepared datasets: what is on disk, when it is made again, and every way a corpus can be bad. */

import assert from "assert";
import * as nodePath from "path";
import {
  CharTokenizer,
  checkDataConfig,
  CORPUS_NAMES,
  findCorpus,
  openDataset,
  prepare,
} from "../../data/mod.ts";
import { UserError } from "../../common/mod.ts";

interface Places {
  folder: string;
  text: string;
  processed_dir: string;
}

async function withFolder(test: (places: Places) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const text = nodePath.join(folder, "tale.txt");
    await Deno.writeTextFile(text, tale);
    await test({ folder, text, processed_dir: nodePath.join(folder, "processed") });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const tale = "Call me Ishmael — 🐋.\nSome years ago, never mind how long.\n".repeat(20).trimEnd();

const isUserError = (message: RegExp) => (e: unknown) => e instanceof UserError && message.test(e.describe());

Deno.test("prepare() writes little-endian ids that are the text, split at its tail", () =>
  withFolder(async ({ text, processed_dir }) => {
    const data = await prepare(text, { processed_dir, split_ratio: 0.8 });
    const characters = [...tale];
    const vocab = [
      ...[...new Set(characters)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!),
      "\uFFFD",
    ];
    const bytes = await Deno.readFile(nodePath.join(data.folder, "tokens.bin"));
    const view = new DataView(bytes.buffer);
    assert.equal(bytes.length, characters.length * 2);
    characters.forEach((c, i) => assert.equal(view.getUint16(2 * i, true), vocab.indexOf(c)));
    const n_train = Math.floor(characters.length * 0.8);
    assert.equal(data.tokenizer.decode(data.train), characters.slice(0, n_train).join(""));
    assert.equal(data.tokenizer.decode(data.val), characters.slice(n_train).join(""));
    assert.equal(data.tokenizer.vocab_size, vocab.length);
    const header = JSON.parse(await Deno.readTextFile(nodePath.join(data.folder, "header.json")));
    assert.deepEqual(header, data.header);
    assert.deepEqual(header.tokenizer, { kind: "char", vocab });
    const valBytes = new TextEncoder().encode(characters.slice(n_train + 1).join("")).length;
    assert.equal(data.targetBytes("val"), valBytes);
  }));

Deno.test("prepare() does not do unchanged input again, and gives the same", () =>
  withFolder(async ({ text, processed_dir }) => {
    const first = await prepare(text, { processed_dir });
    const before = await Deno.stat(nodePath.join(first.folder, "tokens.bin"));
    const second = await prepare({ corpus: text }, { processed_dir });
    const after = await Deno.stat(nodePath.join(second.folder, "tokens.bin"));
    assert.deepEqual([after.mtime, after.ino], [before.mtime, before.ino]);
    assert.deepEqual(second.train, first.train);
    assert.deepEqual(second.val, first.val);
    assert.deepEqual(second.header, first.header);
  }));

Deno.test("prepare() never serves a changed text, split or tokenizer from before", () =>
  withFolder(async ({ text, processed_dir }) => {
    const first = await prepare(text, { processed_dir });
    const changed = tale.replaceAll("Ishmael", "Leamhsi"); // of the same length
    await Deno.writeTextFile(text, changed);
    const second = await prepare(text, { processed_dir });
    assert.equal(second.tokenizer.decode(second.train), [...changed].slice(0, second.train.length).join(""));
    const third = await prepare(text, { processed_dir, split_ratio: 0.5 });
    assert.notEqual(third.train.length, second.train.length);
    const fourth = await prepare(text, { processed_dir }, { tokenizer: otherTokenizer });
    assert.equal(fourth.tokenizer.vocab_size, 3);
    assert.match(fourth.tokenizer.decode(fourth.train), /^.all/u);
    assert.equal(new Set([first, second, third, fourth].map((d) => d.folder)).size, 4);
    const reopened = await openDataset(fourth.folder);
    assert.deepEqual(reopened.tokenizer.toJSON(), otherTokenizer.toJSON());
  }));

const otherTokenizer = new CharTokenizer(["a", "l", "\uFFFD"]);

Deno.test("a damaged dataset is a UserError to open and is made again by prepare()", () =>
  withFolder(async ({ text, processed_dir }) => {
    const { folder, train } = await prepare(text, { processed_dir });
    const tokens = nodePath.join(folder, "tokens.bin");
    const header = nodePath.join(folder, "header.json");
    const flip = async () => {
      const bytes = await Deno.readFile(tokens);
      bytes[100]! ^= 1;
      await Deno.writeFile(tokens, bytes);
    };
    const damages: [string, () => Promise<void>, RegExp][] = [
      ["tokens cut", () => Deno.truncate(tokens, 101), /tokens\.bin: has 101 bytes, its header says/],
      ["tokens gone", () => Deno.remove(tokens), /no such file/],
      ["a bit flipped", flip, /digest/],
      ["header cut", () => Deno.truncate(header, 60), /header\.json.*not valid JSON/],
      ["header foreign", () => Deno.writeTextFile(header, '{"format":"other"}'), /header\.json/],
      [
        "header of another version",
        async () => {
          const text = await Deno.readTextFile(header);
          await Deno.writeTextFile(header, text.replace('"format_version": 1', '"format_version": 2'));
        },
        /format_version: expected 1, got 2/,
      ],
    ];
    for (const [name, damage, message] of damages) {
      await damage();
      await assert.rejects(openDataset(folder), isUserError(message), name);
      const again = await prepare(text, { processed_dir });
      assert.equal(again.folder, folder);
      assert.deepEqual(again.train, train, name);
      assert.deepEqual((await openDataset(folder)).train, train, name);
    }
  }));

Deno.test("several that prepare the same at once all get it", () =>
  withFolder(async ({ text, processed_dir }) => {
    const all = await Promise.all([1, 2, 3, 4].map(() => prepare(text, { processed_dir })));
    for (const data of all) assert.deepEqual(data.train, all[0]!.train);
    const left = await Array.fromAsync(Deno.readDir(processed_dir), (entry) => entry.name);
    assert.deepEqual(left, [nodePath.basename(all[0]!.folder)]);
  }));

Deno.test("what a killed process left behind is removed when it is old", () =>
  withFolder(async ({ text, processed_dir }) => {
    const { folder } = await prepare(text, { processed_dir });
    await Deno.remove(folder, { recursive: true });
    const leave = async (name: string, age: number) => {
      const path = nodePath.join(processed_dir, `.${name}.1234abcd.tmp`);
      await Deno.mkdir(path);
      await Deno.writeTextFile(nodePath.join(path, "tokens.bin"), "half");
      const then = new Date(Date.now() - age * 3_600_000);
      await Deno.utime(nodePath.join(path, "tokens.bin"), then, then);
    };
    const name = nodePath.basename(folder);
    await leave(name, 2);
    await leave(`${name}2`, 0);
    await leave("other", 2);
    await prepare(text, { processed_dir });
    const left = await Array.fromAsync(Deno.readDir(processed_dir), (entry) => entry.name);
    assert.deepEqual(left.sort(), [`.${name}2.1234abcd.tmp`, ".other.1234abcd.tmp", name].sort());
  }));

Deno.test("a folder is its .txt files by path, with blank lines between; others and hidden ones are left out", () =>
  withFolder(async ({ folder, processed_dir }) => {
    const books = nodePath.join(folder, "My Books!");
    await Deno.mkdir(nodePath.join(books, "b"), { recursive: true });
    const write = (name: string, text: string) => Deno.writeTextFile(nodePath.join(books, name), text);
    await write("c.TXT", "third\n\n\n");
    await write("a.txt", "\uFEFFfirst\r\nline\r\n");
    await write("b/b.txt", "second");
    await write("empty.txt", " \n");
    await write("notes.md", "not this");
    await write(".hidden.txt", "nor this");
    const data = await prepare(books, { processed_dir, split_ratio: 0.5 });
    const whole = data.tokenizer.decode(data.train) + data.tokenizer.decode(data.val);
    assert.equal(whole, "first\nline\n\nsecond\n\nthird");
    assert.match(nodePath.basename(data.folder), /^My_Books__char_[0-9a-f]{10}$/);
  }));

Deno.test("names are found under data/raw/ from where the user stands", () =>
  withFolder(async ({ folder }) => {
    const before = Deno.env.get("INIT_CWD");
    const raw = nodePath.join(folder, "data", "raw");
    await Deno.mkdir(raw, { recursive: true });
    await Deno.writeTextFile(nodePath.join(raw, "sonnets.txt"), "Shall I compare thee");
    try {
      Deno.env.set("INIT_CWD", folder);
      assert.deepEqual(await findCorpus("sonnets"), {
        name: "sonnets",
        files: [nodePath.join(raw, "sonnets.txt")],
      });
      assert.deepEqual((await findCorpus("data/raw")).files, [nodePath.join(raw, "sonnets.txt")]);
      await assert.rejects(findCorpus("sonets"), isUserError(/did you mean "sonnets"/));
    } finally {
      if (before === undefined) Deno.env.delete("INIT_CWD");
      else Deno.env.set("INIT_CWD", before);
    }
  }));

Deno.test("a bad corpus is one clear line", () =>
  withFolder(async ({ folder, text, processed_dir }) => {
    const file = async (name: string, content: string | Uint8Array) => {
      const path = nodePath.join(folder, name);
      await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
      return path;
    };
    await Deno.mkdir(nodePath.join(folder, "none"));
    const cases: [string, RegExp][] = [
      [nodePath.join(folder, "missing.txt"), /missing\.txt: there is no such text file/],
      ["moby-dik", /no corpus "moby-dik", did you mean "moby-dick"\? \(known: moby-dick, sotu/],
      ["toString", /no corpus "toString"/],
      [await file("empty.txt", ""), /is empty/],
      [await file("blank.txt", " \n\n"), /is empty/],
      [await file("latin1.txt", new Uint8Array([0x61, 0x0a, 0xe9, 0x62])), /latin1\.txt:2: is not UTF-8/],
      [await file("utf16.txt", new Uint8Array([0xff, 0xfe, 0x61, 0x00])), /utf16\.txt:1: is not UTF-8/],
      [await file("short.txt", "ab"), /2 tokens: too short/],
      [nodePath.join(folder, "none"), /no \.txt file in this folder/],
    ];
    for (const [corpus, message] of cases) {
      await assert.rejects(prepare(corpus, { processed_dir }), isUserError(message), corpus);
    }
    await assert.rejects(prepare(text, { processed_dir: text }), isUserError(/file stands where a folder/));
    const data = await prepare(text, { processed_dir });
    await Deno.remove(data.folder, { recursive: true });
    await Deno.writeTextFile(data.folder, "in the way");
    await assert.rejects(
      prepare(text, { processed_dir }),
      isUserError(/file stands where the dataset's folder/),
    );
  }));

Deno.test("a bad section data is one clear line", () => {
  const bad: [unknown, RegExp][] = [
    [{ corpsu: "sotu" }, /unknown key "corpsu" in data, did you mean "corpus"/],
    [{ tokenizer: "bpee" }, /data\.tokenizer: expected one of .*did you mean "bpe".*got "bpee"/],
    [{ tokenizer: "file" }, /data\.tokenizer_file: expected the path of a tokenizer\.json/],
    [{ tokenizer_file: "t.json" }, /data\.tokenizer_file: is not used by tokenizer char/],
    [{ vocab_size: 256 }, /data\.vocab_size: expected a whole number of at least 257, got 256/],
    [{ near_duplicate_threshold: 0.2 }, /data\.near_duplicate_threshold: expected .*at least 0\.5, got 0\.2/],
    [{ split_ratio: 1 }, /data\.split_ratio: expected a number of less than 1, got 1/],
    [{ split_ratio: "0.9" }, /data\.split_ratio: expected a number, got "0.9"/],
    [{ corpus: "" }, /data\.corpus: expected text of at least 1 character/],
    [5, /data: expected a section of keys, got 5/],
  ];
  for (const [keys, message] of bad) assert.throws(() => checkDataConfig(keys), isUserError(message));
  const { corpus, tokenizer, split_ratio, processed_dir, shuffle } = checkDataConfig({});
  assert.deepEqual(
    [corpus, tokenizer, split_ratio, processed_dir, shuffle],
    ["moby-dick", "char", 0.9, "data/processed", true],
  );
});

Deno.test("the known corpora are there, of the size they are known for", () =>
  withFolder(async ({ processed_dir }) => {
    assert.deepEqual(CORPUS_NAMES, ["moby-dick", "sotu"]);
    const moby = await prepare("moby-dick", { processed_dir });
    assert.equal(moby.tokenizer.vocab_size, 90);
    assert.equal(moby.train.length + moby.val.length, 1217395);
    assert.match(
      moby.tokenizer.decode(moby.train),
      /Loomings\.\n\nCall me Ishmael\. Some years ago—never mind/,
    );
    assert.match(moby.tokenizer.decode(moby.val), /only found another orphan\.$/);
    const sotu = await findCorpus("sotu");
    assert.equal(sotu.files.length, 233);
    assert.match(String(sotu.files[0]), /1790_george_washington/);
  }));

Deno.test("a known corpus needs no more than to read files and the environment", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const door = new URL("../../data/mod.ts", import.meta.url).href;
    const script = nodePath.join(folder, "list.ts");
    await Deno.writeTextFile(
      script,
      `import { findCorpus } from ${JSON.stringify(door)};
       const { files } = await findCorpus("moby-dick");
       console.log(files.length, (await Deno.stat(files[3])).size);`,
    );
    const config = nodePath.join(import.meta.dirname!, "..", "..", "deno.json");
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", "--allow-read", "--allow-env", "--config", config, script],
    }).output();
    assert.match(new TextDecoder().decode(stdout), /^139 \d+\n$/, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
