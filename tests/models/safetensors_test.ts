import assert from "assert";
import { join } from "path";
import { createHash } from "crypto";
import { UserError } from "../../common/mod.ts";
import { openSafetensors, parseSafetensors } from "../../models/safetensors.ts";
import { writeSafetensors } from "../../models/safetensors_write.ts";

/** A file put together byte by byte: length, header, data. */
function file(header: unknown, data: number[] | Uint8Array = [], claimedLength?: bigint): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, claimedLength ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const entry = (dtype: string, shape: number[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("every float dtype is read from bytes written by hand", () => {
  const bytes = file({
    "__metadata__": { format: "pt" },
    f32: entry("F32", [2], 0, 8),
    f16: entry("F16", [2], 8, 12),
    bf16: entry("BF16", [2], 12, 16),
    f64: entry("F64", [1], 16, 24),
  }, [
    ...[0x00, 0x00, 0xc0, 0x3f, 0x00, 0x00, 0x00, 0xc0], // 1.5, -2
    ...[0x00, 0x3c, 0x01, 0x00], //                         1, 2^-24 (the least half)
    ...[0x80, 0x3f, 0x20, 0xc1], //                         1, -10
    ...[0, 0, 0, 0, 0, 0, 0x04, 0x40], //                   2.5
  ]);
  const tensors = parseSafetensors(bytes, "hand.safetensors");
  assert.deepEqual(tensors.metadata, { format: "pt" });
  assert.deepEqual([...tensors.tensors.keys()], ["f32", "f16", "bf16", "f64"]);
  assert.deepEqual([...tensors.readFloat32("f32")], [1.5, -2]);
  assert.deepEqual([...tensors.readFloat32("f16")], [1, 2 ** -24]);
  assert.deepEqual([...tensors.readFloat32("bf16")], [1, -10]);
  assert.deepEqual([...tensors.readFloat32("f64")], [2.5]);
});

Deno.test("integer dtypes are read as int32, and refused when they do not fit", () => {
  const bytes = file({
    i64: entry("I64", [2], 0, 16),
    u16: entry("U16", [1], 16, 18),
    i8: entry("I8", [1], 18, 19),
    u32: entry("U32", [1], 19, 23),
  }, [
    ...[5, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ...[0xff, 0xff],
    0x80,
    ...[0, 0, 0, 0x80],
  ]);
  const tensors = parseSafetensors(bytes, "integers.safetensors");
  assert.deepEqual([...tensors.readInt32("i64")], [5, -1]);
  assert.deepEqual([...tensors.readInt32("u16")], [65535]);
  assert.deepEqual([...tensors.readInt32("i8")], [-128]);
  assert.throws(() => tensors.readInt32("u32"), /2147483648.*32-bit/);
  assert.throws(() => tensors.readFloat32("u16"), /dtype U16, expected F32/);
});

Deno.test("the reference file of PyTorch is read as Hugging Face wrote it", () => {
  using tensors = openSafetensors(
    join(import.meta.dirname!, "../reference/one-batch/batch.safetensors"),
  );
  const { shape, dtype } = tensors.info("input_ids");
  assert.deepEqual([dtype, shape], ["I32", [2, 16]]);
  assert.ok(tensors.readInt32("input_ids").every((id) => id >= 0 && id < 50));
});

Deno.test("a zero-sized tensor and a scalar are whole", () => {
  const tensors = parseSafetensors(
    file({ a: entry("F32", [0, 3], 0, 0), b: entry("F32", [], 0, 4) }, [0, 0, 0, 0]),
    "x",
  );
  assert.equal(tensors.readFloat32("a").length, 0);
  assert.deepEqual([...tensors.readFloat32("b")], [0]);
});

const broken: [string, Uint8Array, RegExp][] = [
  ["an empty file", new Uint8Array(0), /no safetensors file.*0 bytes/],
  ["a length cut off", new Uint8Array(5), /no safetensors file.*5 bytes/],
  ["text", new TextEncoder().encode("Call me Ishmael. Some years ago"), /no safetensors file/],
  ["a header larger than allowed", file("{}", [], 100_000_001n), /100000001 bytes/],
  ["a header past the file's end", file("{}", [], 3n), /truncated.*11 bytes, the file has 10/],
  ["a header that is no object", file("[1]"), /does not begin with \{/],
  ["a header cut off", file('{"a":'), /not JSON/],
  ["a header that is not UTF-8", file("{}", [0xff], 3n), /not JSON/],
  ["an entry that is no object", file({ a: 3 }), /tensor a is not an object/],
  ["an unknown dtype", file({ a: entry("Q4", [1], 0, 1) }, [0]), /tensor a.*dtype "Q4"/],
  ["a dtype named like a method", file({ a: entry("toString", [1], 0, 1) }, [0]), /dtype "toString"/],
  ["a negative shape", file({ a: entry("F32", [-1], 0, 4) }, [0, 0, 0, 0]), /tensor a.*shape/],
  ["a fractional shape", file({ a: entry("F32", [0.5], 0, 2) }, [0, 0]), /tensor a.*shape/],
  ["offsets turned round", file({ a: entry("F32", [1], 4, 0) }, [0, 0, 0, 0]), /tensor a.*data_offsets/],
  [
    "offsets that differ from the shape",
    file({ a: entry("F32", [2], 0, 4) }, [0, 0, 0, 0]),
    /takes 8 bytes.*span 4/,
  ],
  [
    "a shape whose product is too large",
    file({ a: entry("F32", [2 ** 40, 2 ** 40], 0, 4) }, [0, 0, 0, 0]),
    /tensor a/,
  ],
  ["data cut off", file({ a: entry("F32", [2], 0, 8) }, [0, 0, 0, 0]), /truncated.*8 bytes.*has 4/],
  ["data left over", file({ a: entry("F32", [1], 0, 4) }, [0, 0, 0, 0, 9]), /1 bytes after its last tensor/],
  [
    "tensors that overlap",
    file({ a: entry("F32", [2], 0, 8), b: entry("F32", [1], 4, 8) }, new Uint8Array(8)),
    /tensor b overlaps tensor a/,
  ],
  [
    "a gap between tensors",
    file({ a: entry("F32", [1], 0, 4), b: entry("F32", [1], 8, 12) }, new Uint8Array(12)),
    /gap between tensor a and tensor b/,
  ],
  ["metadata that are no text", file({ "__metadata__": { a: 1 } }), /__metadata__/],
];
for (const [what, bytes, message] of broken) {
  Deno.test(`${what}: one line that names the file`, () => {
    assert.throws(() => parseSafetensors(bytes, "broken.safetensors"), (error) => {
      assert.ok(error instanceof UserError, `${error}`);
      assert.match(error.describe(), message);
      assert.equal(error.file, "broken.safetensors");
      assert.ok(!error.describe().includes("\n"));
      return true;
    });
  });
}

Deno.test("a missing file, a folder and a missing tensor are named", async () => {
  await inTempDir(async (dir) => {
    assert.throws(() => openSafetensors(join(dir, "none.safetensors")), UserError);
    assert.throws(() => openSafetensors(dir), UserError);
    const path = join(dir, "x.safetensors");
    await Deno.writeFile(path, file({ a: entry("U8", [1], 0, 1) }, [1]));
    using tensors = openSafetensors(path);
    assert.throws(() => tensors.info("b"), /no tensor b/);
  });
});

Deno.test("what is written piece by piece has the bytes of the format and the digest of the file", async () => {
  await inTempDir(async (dir) => {
    const path = join(dir, "x.safetensors");
    const digest = await writeSafetensors(path, [
      { name: "b", dtype: "U16", shape: [3], data: Uint16Array.of(1, 2, 65535) },
      {
        name: "a",
        dtype: "F32",
        shape: [2, 2],
        data: async function* () {
          yield Float32Array.of(1, 2, 3);
          await Promise.resolve();
          yield Float32Array.of(0, 4, 0).subarray(1, 2);
        },
      },
    ], { format: "pt" });
    const bytes = await Deno.readFile(path);
    assert.equal(digest, createHash("sha256").update(bytes).digest("hex"));
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    assert.equal(length % 8, 0);
    assert.deepEqual(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))), {
      "__metadata__": { format: "pt" },
      a: entry("F32", [2, 2], 0, 16), // the wider dtype first: every tensor is aligned
      b: entry("U16", [3], 16, 22),
    });
    assert.deepEqual([...new Float32Array(bytes.slice(8 + length, 8 + length + 16).buffer)], [1, 2, 3, 4]);
    assert.deepEqual([...bytes.subarray(8 + length + 16)], [1, 0, 2, 0, 255, 255]);
    using tensors = openSafetensors(path);
    assert.deepEqual([...tensors.readInt32("b")], [1, 2, 65535]);
    assert.deepEqual([...tensors.readFloat32("a")], [1, 2, 3, 4]);
  });
});

Deno.test("data that differ from the shape are refused", async () => {
  await inTempDir(async (dir) => {
    const tensor = { name: "a", dtype: "F32" as const, shape: [3], data: Float32Array.of(1, 2) };
    await assert.rejects(writeSafetensors(join(dir, "x.safetensors"), [tensor]), /tensor a.*by -4 bytes/);
  });
});
