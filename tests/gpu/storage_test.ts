/** How matrices are laid out: padding, folded textures, slices, parameters in chunks, the index of tokens. */

import assert from "assert";
import {
  type Axis,
  axis,
  type Gpu,
  layoutParameters,
  logicalLength,
  ParameterStore,
  physicalLength,
  rowsOf,
  tokenIndex,
} from "../../gpu/mod.ts";
import { packMatrix, unpackMatrix } from "../../gpu/matrix.ts";
import { floatLiteral } from "../../gpu/lower.ts";
import { accessor, bindingCount, bufferStorage, storageBytes, textureStorage } from "../../gpu/storage.ts";
import { UserError } from "../../common/mod.ts";
import { randomIds, randomMatrix, withGpu } from "./support.ts";

const AXES: Axis[] = [
  rowsOf(1),
  rowsOf(7),
  axis(1),
  axis(67),
  axis(11, { groups: 3 }),
  axis(5, { groups: 2, multiple: 8 }),
  axis(67, { multiple: 128 }),
];

Deno.test("axes count their elements with and without padding", () => {
  assert.deepEqual(AXES.map(logicalLength), [1, 7, 1, 67, 33, 10, 67]);
  assert.deepEqual(AXES.map(physicalLength), [1, 7, 4, 68, 36, 16, 128]);
});

Deno.test("a packed matrix has every element at its place and zeros elsewhere, and unpacks to itself", () => {
  for (const rows of AXES) {
    for (const cols of AXES) {
      const [height, width] = [logicalLength(rows), logicalLength(cols)];
      const pitch = physicalLength(cols) + 8;
      const data = randomMatrix(height, width, 1);
      const packed = packMatrix(data, rows, cols, pitch);
      assert.equal(packed.length, physicalLength(rows) * pitch);
      const place = (a: Axis, i: number) =>
        Math.floor(i / a.size) * Math.ceil(a.size / a.multiple) * a.multiple + i % a.size;
      const expected = new Float32Array(packed.length);
      for (let r = 0; r < height; r++) {
        for (let c = 0; c < width; c++) {
          expected[place(rows, r) * pitch + place(cols, c)] = data[r * width + c]!;
        }
      }
      assert.deepEqual(packed, expected);
      assert.deepEqual(unpackMatrix(packed, rows, cols, pitch), data);
    }
  }
});

Deno.test("a texture folds rows beyond the adapter's limit into further columns", () => {
  const form = { kind: "texture", element: "f32" };
  assert.deepEqual(textureStorage(64, 3, 64), { ...form, rows: 64, cols: 3, width: 3, height: 64 });
  const folded = textureStorage(100, 3, 64)!;
  assert.deepEqual(folded, { ...form, rows: 100, cols: 3, width: 6, height: 64 });
  assert.equal(storageBytes(folded), 6 * 64 * 16);
  assert.equal(storageBytes(textureStorage(100, 3, 64, "f16")!), 6 * 64 * 8);
  assert.equal(bindingCount(folded), 1);
  assert.equal(textureStorage(64 * 64, 1, 64)?.width, 64);
  assert.equal(textureStorage(64 * 64 + 1, 1, 64), undefined);
  assert.equal(textureStorage(1, 65, 64), undefined);
});

Deno.test("a buffer is cut into slices of whole rows that start at multiples of 256 bytes", () => {
  assert.equal(bindingCount(bufferStorage(64, 4, 4, 4096)), 1);
  for (
    const [rows, pitch, limit] of [[65, 4, 4096], [1000, 3, 1000], [50257, 192, 1 << 20], [
      17,
      1,
      256,
    ]] as const
  ) {
    const s = bufferStorage(rows, pitch, pitch, limit);
    const rowBytes = pitch * 16;
    assert(bindingCount(s) > 1);
    assert(s.sliceRows * rowBytes <= limit && s.sliceRows * rowBytes % 256 === 0);
    assert(bindingCount(s) * s.sliceRows >= rows && (bindingCount(s) - 1) * s.sliceRows < rows);
    assert.equal(storageBytes(s), rows * rowBytes);
  }
  const half = bufferStorage(1000, 3, 3, 1000, "f16");
  assert.deepEqual([half.sliceRows * 24 % 256, storageBytes(half)], [0, 1000 * 24]);
  assert.throws(() => bufferStorage(1000, 17, 17, 4096), UserError);
});

Deno.test("an accessor declares one binding for each slice, from the number given", () => {
  const s = bufferStorage(100, 2, 2, 1024);
  assert.equal(bindingCount(s), 4);
  const text = accessor("x", s, "read", 3, "view.a_row");
  assert.deepEqual([...text.matchAll(/@binding\((\d+)\)/g)].map((m) => m[1]), ["3", "4", "5", "6"]);
  assert.match(text, /row \+ view\.a_row/);
  assert.throws(() => accessor("y", textureStorage(4, 4, 64)!, "add", 0), /cannot be added to/);
});

const LIMITS: Pick<Gpu, "operands" | "maxBindingBytes" | "maxBufferBytes" | "maxTextureSide"> = {
  operands: "buffer",
  maxBindingBytes: 1 << 20,
  maxBufferBytes: 1 << 20,
  maxTextureSide: 64,
};

Deno.test("parameters that decay and those that do not stand in different chunks, none across a buffer's end", () => {
  const specs = Array.from({ length: 9 }, (_, i) => ({
    name: `p${i}`,
    rows: rowsOf(100 + i),
    cols: axis(5),
    decay: i % 3 > 0,
  }));
  const layout = layoutParameters(specs, { ...LIMITS, maxBufferBytes: 8192 });
  const ends = layout.chunks.map(() => 0);
  for (const { spec, chunk, offset, storage } of layout.slots.values()) {
    assert.equal(layout.chunks[chunk]!.decay, spec.decay);
    assert.equal(offset % 256, 0);
    assert(offset >= ends[chunk]!, "slots do not overlap");
    ends[chunk] = offset + storageBytes(storage);
  }
  layout.chunks.forEach(({ size }, i) => assert(size <= 8192 && ends[i]! <= size));
  assert.equal(layout.slots.size, 9);
  assert.equal(layout.planeBytes, layout.chunks.reduce((sum, c) => sum + c.size, 0));
  assert.throws(() => layoutParameters(specs, { ...LIMITS, maxBufferBytes: 1024 }), UserError);
});

Deno.test("a store gives back what was written to each plane, in all ways of holding it", async () => {
  const specs = AXES.map((cols, i) => ({
    name: `p${i}`,
    rows: AXES[(i + 3) % AXES.length]!,
    cols,
    decay: i % 2 === 0,
  }));
  for (const options of [{}, { operands: "texture", maxTextureSide: 32 }, { operands: "buffer" }] as const) {
    await withGpu(options, async (gpu) => {
      const store = new ParameterStore(gpu, specs, { training: true });
      const data = (i: number, plane: number) =>
        randomMatrix(logicalLength(specs[i]!.rows), logicalLength(specs[i]!.cols), 10 * i + plane);
      const planes = ["value", "gradient", "exp_avg", "exp_avg_sq"] as const;
      for (const [i, { name }] of specs.entries()) {
        assert.deepEqual(await store.read(name, "exp_avg"), data(i, 0).fill(0));
        planes.forEach((plane, k) => store.write(name, data(i, k), plane));
      }
      store.syncMirrors();
      for (const [i, { name }] of specs.entries()) {
        for (const [k, plane] of planes.entries()) {
          assert.deepEqual(await store.read(name, plane), data(i, k));
        }
      }
      assert.throws(() => store.write("p0", new Float32Array(3)), /p0: expected \d+ elements, got 3/);
      assert.throws(() => store.slot("p99"), /no parameter named p99/);
      store.destroy();
    });
  }
});

Deno.test("a store without training holds weights alone, and so does a frozen parameter", async () => {
  await withGpu({}, async (gpu) => {
    const spec = { name: "w", rows: axis(3), cols: axis(5), decay: true };
    for (const [frozen, training] of [[false, false], [true, true]] as const) {
      const trained = { ...spec, name: "v", frozen: false };
      const store = new ParameterStore(gpu, [trained, { ...spec, frozen }], { training });
      store.write("w", randomMatrix(3, 5, 1));
      assert.deepEqual(await store.read("w"), randomMatrix(3, 5, 1));
      await assert.rejects(() => store.read("w", "gradient"), /no gradient of w/);
      if (training) assert.deepEqual(await store.read("v", "gradient"), new Float32Array(15));
      store.destroy();
    }
  });
});

Deno.test("the token index lists the places of every token that occurs, in order", () => {
  const cases = [randomIds(1, 1, 1), randomIds(97, 2, 5), randomIds(97, 3, 1000), new Uint32Array([4, 4, 4])];
  for (const ids of cases) {
    const naive = new Map<number, number[]>();
    ids.forEach((id, place) => naive.set(id, [...naive.get(id) ?? [], place]));
    const sorted = [...naive].sort(([a], [b]) => a - b).map(([, places]) => places);
    const index = tokenIndex(ids, 1000);
    const n = ids.length;
    assert.equal(index.length, 2 * n + 2);
    assert.equal(index[0], sorted.length);
    const [places, starts] = [index.subarray(1, 1 + n), index.subarray(1 + n)];
    const listed = sorted.map((_, k) => [...places.subarray(starts[k], starts[k + 1])]);
    assert.deepEqual(listed, sorted);
  }
});

Deno.test("a number as WGSL text is a float that reads back as the nearest float32", () => {
  for (const value of [0, 1, -3, 0.1, 1e-8, 1e21, 1.5e-45, 3.4e38, 1 / 3, 123456789]) {
    const text = floatLiteral(value);
    assert.match(text, /^-?\d+\.\d+(e[+-]?\d+)?$/);
    assert.equal(Number(text), Math.fround(value));
  }
});
