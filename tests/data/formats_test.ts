/** What a corpus may be made of: folders, globs, JSON Lines, Parquet, gzip, and how each of them can be broken. */

import assert from "assert";
import * as nodePath from "path";
import { gzipSync } from "zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { type DataConfig, findCorpus, prepare } from "../../data/mod.ts";
import { UserError } from "../../common/mod.ts";

interface Places {
  folder: string;
  write: (name: string, content: string | Uint8Array) => Promise<string>;
  /** The text that a corpus becomes. */
  textOf: (corpus: string, settings?: Partial<DataConfig>) => Promise<string>;
}

function withFolder(test: (places: Places) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = await Deno.realPath(await Deno.makeTempDir());
    const write = async (name: string, content: string | Uint8Array) => {
      const path = nodePath.join(folder, name);
      await Deno.mkdir(nodePath.dirname(path), { recursive: true });
      await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
      return path;
    };
    const textOf = async (corpus: string, settings: Partial<DataConfig> = {}) => {
      const data = await prepare(corpus, {
        processed_dir: nodePath.join(folder, "processed"),
        split_ratio: 0.5,
        separator: "|",
        ...settings,
      });
      return data.tokenizer.decode(data.train) + data.tokenizer.decode(data.val);
    };
    try {
      await test({ folder, write, textOf });
      const left = await Array.fromAsync(Deno.readDir(nodePath.join(folder, "processed")), (e) => e.name)
        .catch(() => []);
      assert.deepEqual(left.filter((name) => name.startsWith(".")), [], "nothing half-made is left");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  };
}

const isUserError = (message: RegExp) => (e: unknown) => e instanceof UserError && message.test(e.describe());

function parquet(columns: Record<string, unknown[]>, rowGroupSize = 2): Uint8Array {
  const columnData = Object.entries(columns).map(([name, data]) => ({ name, data }));
  return new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize }));
}

Deno.test(
  "a folder is all files that can be read, numbers in names by their value",
  withFolder(async ({ folder, write, textOf }) => {
    await write("show/season_2/episode_1.txt", "s2e1\n");
    await write("show/season_1/episode_10.txt", "s1e10");
    await write("show/season_1/episode_9.txt.gz", gzipSync("s1e9\r\n"));
    await write("show/season_1/episode_9b.txt", "s1e9b");
    await write("show/season_1/more.jsonl", '{"text":"row 1"}\n\n{"text":"row 2","x":1}\n{"text":"  "}');
    await write("show/season_1/readme.md", "not this");
    const show = nodePath.join(folder, "show");
    assert.equal(await textOf(show), "s1e9|s1e9b|s1e10|row 1|row 2|s2e1");
    assert.equal(await textOf(nodePath.join(show, "season_*", "episode_1*.txt")), "s1e10|s2e1");
    assert.equal((await findCorpus(nodePath.join(show, "**", "*.txt"))).name, "show");
    await assert.rejects(textOf(nodePath.join(show, "*.txt")), isUserError(/no file fits this pattern/));
  }),
);

Deno.test(
  "JSON Lines: a document a line, of any key, packed or not",
  withFolder(async ({ write, textOf }) => {
    const lines = '\uFEFF{"body":"one\\r\\ntwo"}\r\n{"body":"🐋 three  "}\n{"body":"four"}';
    const settings = { text_field: "body" };
    assert.equal(await textOf(await write("a.jsonl", lines), settings), "one\ntwo|🐋 three|four");
    assert.equal(
      await textOf(await write("b.jsonl.gz", gzipSync(lines)), settings),
      "one\ntwo|🐋 three|four",
    );
    const long = Array.from({ length: 3000 }, (_, i) => JSON.stringify({ body: `${i} ${"x".repeat(100)}` }));
    const text = await textOf(await write("long.jsonl", long.join("\n")), settings);
    assert.equal(text, long.map((line) => JSON.parse(line).body).join("|"));
  }),
);

Deno.test(
  "Parquet: a document a row, over all row groups",
  withFolder(async ({ write, textOf }) => {
    const path = await write(
      "t.parquet",
      parquet({ id: [1, 2, 3, 4, 5], text: ["a", "b🐋", "", "c\r\nd", "e"] }),
    );
    assert.equal(await textOf(path), "a|b🐋|c\nd|e");
  }),
);

Deno.test(
  "gzip of several members is read to its end",
  withFolder(async ({ write, textOf }) => {
    const [a, b] = ["first half, ", "second half"].map((text) => new Uint8Array(gzipSync(text)));
    const path = await write("two.txt.gz", new Uint8Array([...a!, ...b!]));
    assert.equal(await textOf(path), "first half, second half");
  }),
);

Deno.test(
  "a broken file is one clear line that names the place",
  withFolder(async ({ write, textOf }) => {
    const packed = new Uint8Array(gzipSync("some text ".repeat(1000)));
    const table = parquet({ id: [1, 2, 3], text: ["a", "b", "c"] });
    const badUtf8 = new TextEncoder().encode("good\n".repeat(300_000) + "bad: ?\n");
    badUtf8[badUtf8.length - 2] = 0xff;
    const cases: [string, string | Uint8Array, RegExp][] = [
      ["a.jsonl", '{"text":"a"}\n{"text":"b"\n', /a\.jsonl:2: is not JSON/],
      ["b.jsonl", '{"text":"a"}\n\n["b"]\n', /b\.jsonl:3: is not a JSON object/],
      ["c.jsonl", '{"test":"a"}\n', /c\.jsonl:1: has no key "text" \(did you mean "test"\? .*one of: test/],
      ["d.jsonl", '{"text":7}\n', /d\.jsonl:1: its key "text" is not text but 7/],
      ["e.jsonl", '{"text":null}\n', /e\.jsonl:1: its key "text" is not text but null/],
      ["f.txt", badUtf8, /f\.txt:300001: is not UTF-8/],
      ["g.txt.gz", packed.subarray(0, packed.length - 20), /g\.txt\.gz: is not whole gzip/],
      ["h.txt.gz", "not gzip", /h\.txt\.gz: is not whole gzip/],
      ["i.parquet", "not parquet at all", /i\.parquet: is not Parquet/],
      ["j.parquet", table.subarray(0, table.length - 9), /j\.parquet: is not Parquet/],
      ["k.parquet", parquet({ id: [1], txt: ["a"] }), /k\.parquet: has no column "text".*one of: id, txt/],
      ["l.parquet", parquet({ text: [1, 2, 3] }), /l\.parquet: row 0: the column "text" is not text but 1/],
      ["m.parquet", parquet({ text: ["a", "b", null] }), /m\.parquet: row 2: .*not text but null/],
      ["n.parquet", damaged(table), /n\.parquet: (rows|row|is not)/],
      ["o.jsonl", "", /is empty/],
    ];
    for (const [name, content, message] of cases) {
      await assert.rejects(textOf(await write(name, content)), isUserError(message), name);
    }
  }),
);

/** Parquet whose pages are noise and whose footer is whole. */
function damaged(table: Uint8Array): Uint8Array {
  const bytes = table.slice();
  bytes.fill(0xff, 4, 40);
  return bytes;
}

Deno.test(
  "a text without line ends, longer than what is read at once, stays whole",
  withFolder(async ({ write, textOf }) => {
    const text = "🐋é—".repeat(500_000); // 4.5 MB, no space
    assert(await textOf(await write("long.txt", text)) === text);
    const words = "über 🐋 ".repeat(400_000).trimEnd();
    assert(await textOf(await write("words.txt", words)) === words);
  }),
);
