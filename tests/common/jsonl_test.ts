/** JSON Lines: whatever a crash leaves of the last line, the lines before it are read. */

import assert from "assert";
import { JsonlWriter, parseJsonl, readJsonl, UserError } from "../../common/mod.ts";

async function withFile(test: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(`${folder}/runs/metrics.jsonl`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const records = [{ step: 1, text: "whale — é 🐋" }, { step: 2, text: "line\nbreak" }, { step: 3 }];

Deno.test("JsonlWriter appends lines that any JSON reader takes, over several openings", () =>
  withFile(async (path) => {
    for (const record of records) {
      using writer = await JsonlWriter.open(path);
      writer.append(record);
      writer.sync();
    }
    const lines = (await Deno.readTextFile(path)).trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines, records);
    assert.deepEqual(await readJsonl(path), records);
  }));

Deno.test("JsonlWriter writes NaN and Infinity as null", () =>
  withFile(async (path) => {
    using writer = await JsonlWriter.open(path);
    writer.append({ train_loss: NaN, grad_norm: Infinity, val_loss: -Infinity, step: 7 });
    assert.equal(
      await Deno.readTextFile(path),
      '{"train_loss":null,"grad_norm":null,"val_loss":null,"step":7}\n',
    );
  }));

Deno.test("a file cut at any byte still gives its whole lines, and can be appended to", () =>
  withFile(async (path) => {
    {
      using writer = await JsonlWriter.open(path);
      for (const record of records) writer.append(record);
    }
    const whole = await Deno.readFile(path);
    for (let size = 0; size <= whole.length; size++) {
      await Deno.writeFile(path, whole.subarray(0, size));
      // A line counts once all of its object is there; its line end may be missing.
      const ends = [...whole.keys()].filter((i) => whole[i] === 10);
      const complete = ends.filter((end) => end <= size).length;
      assert.deepEqual(await readJsonl(path), records.slice(0, complete), `cut at ${size}`);
      {
        using writer = await JsonlWriter.open(path);
        writer.append({ more: true });
      }
      assert.deepEqual(
        await readJsonl(path),
        [...records.slice(0, complete), { more: true }],
        `cut at ${size}`,
      );
    }
  }));

Deno.test("a torn line of many kilobytes is cut off whole", () =>
  withFile(async (path) => {
    {
      using writer = await JsonlWriter.open(path);
      writer.append({ step: 1 });
    }
    await Deno.writeTextFile(path, `{"text":"${"x".repeat(50_000)}`, { append: true });
    {
      using writer = await JsonlWriter.open(path);
      writer.append({ step: 2 });
    }
    assert.equal(await Deno.readTextFile(path), '{"step":1}\n{"step":2}\n');
  }));

Deno.test("parseJsonl() names a broken line that is not the last", () => {
  assert.throws(
    () => parseJsonl('{"a":1}\n{"a":\n{"a":3}\n', "m.jsonl"),
    (e) => e instanceof UserError && e.file === "m.jsonl" && e.line === 2,
  );
  assert.throws(() => parseJsonl("[1]\n{}\n", "m.jsonl"), UserError);
  assert.deepEqual(parseJsonl('\n{"a":1}\r\n\n', "m.jsonl"), [{ a: 1 }]);
  assert.deepEqual(parseJsonl("", "m.jsonl"), []);
  assert.deepEqual(parseJsonl('{"a":1}\n\0\0\0', "m.jsonl"), [{ a: 1 }]);
});

Deno.test("readJsonl() of a missing file is a UserError", async () => {
  await assert.rejects(readJsonl("no/such/file.jsonl"), UserError);
});

Deno.test({
  name: "JsonlWriter on a full disk throws a UserError that says so",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    using writer = await JsonlWriter.open("/dev/full");
    assert.throws(
      () => writer.append({ a: 1 }),
      (e) => e instanceof UserError && /disk is full/.test(e.message),
    );
  },
});
