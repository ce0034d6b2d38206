/** Random numbers against the published formula in other arithmetic, known hashes and statistics. */

import assert from "assert";
import {
  fillNormal,
  normal,
  pcg4d,
  randomInt,
  randomUint32,
  sha256,
  sha256File,
  streamOf,
  uniform,
} from "../../common/mod.ts";

/** pcg4d in exact integers modulo 2^32. */
function pcg4dExact(v: number[]): number[] {
  const wrap = (n: bigint) => n & 0xffffffffn;
  let [x, y, z, w] = v.map((n) => wrap(BigInt(n) * 1664525n + 1013904223n)) as [
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  const round = () => {
    x = wrap(x + y * w);
    y = wrap(y + z * x);
    z = wrap(z + x * y);
    w = wrap(w + y * z);
  };
  round();
  [x, y, z, w] = [x ^ (x >> 16n), y ^ (y >> 16n), z ^ (z >> 16n), w ^ (w >> 16n)];
  round();
  return [x, y, z, w].map(Number);
}

Deno.test("pcg4d() is the published hash", () => {
  const inputs = [[0, 0, 0, 0], [1, 2, 3, 4], [0xffffffff, 0x80000000, 0x7fffffff, 1], [42, 7, 1e9, 12345]];
  for (const v of inputs) {
    assert.deepEqual([...pcg4d(v[0]!, v[1]!, v[2]!, v[3]!)], pcg4dExact(v));
  }
});

Deno.test("streamOf() is FNV-1a", () => {
  assert.equal(streamOf(""), 0x811c9dc5);
  assert.equal(streamOf("a"), 0xe40c292c);
  assert.equal(streamOf("foobar"), 0xbf9cf968);
});

Deno.test("numbers depend on seed, stream and index, also beyond 2^32, and on nothing else", () => {
  const at = (seed: number, stream: number, index: number) => uniform(seed, stream, index);
  assert.equal(at(1, 2, 3), at(1, 2, 3));
  const all = [
    at(1, 2, 3),
    at(2, 2, 3),
    at(1, 3, 3),
    at(1, 2, 4),
    at(1, 2, 3 + 2 ** 32),
    at(1, 2, 3 + 2 ** 40),
  ];
  assert.equal(new Set(all).size, all.length);
  assert.notEqual(randomUint32(1, 2, 3), randomUint32(1, 2, 4));
});

Deno.test("uniform() and randomInt() are even, normal() has mean 0, deviation 1 and normal tails", () => {
  const n = 100_000;
  const bins = new Array<number>(20).fill(0);
  const ints = new Array<number>(7).fill(0);
  let sum = 0, squares = 0, neighbours = 0, beyond2 = 0, previous = 0;
  for (let i = 0; i < n; i++) {
    const u = uniform(5, 1, i);
    assert(u >= 0 && u < 1);
    bins[Math.floor(u * 20)]!++;
    ints[randomInt(6, 1, i, 7)]!++;
    const x = normal(7, 1, i);
    sum += x;
    squares += x * x;
    neighbours += x * previous;
    if (Math.abs(x) > 2) beyond2++;
    previous = x;
  }
  const chiSquare = (counts: number[]) =>
    counts.reduce((total, c) => total + (c - n / counts.length) ** 2 / (n / counts.length), 0);
  assert(chiSquare(bins) < 43.8, `chi-square ${chiSquare(bins)}`); // 99.9 % quantile, 19 degrees of freedom
  assert(chiSquare(ints) < 22.5, `chi-square ${chiSquare(ints)}`); // 6 degrees
  assert(Math.abs(sum / n) < 0.013);
  assert(Math.abs(squares / n - 1) < 0.02);
  assert(Math.abs(neighbours / n) < 0.013);
  assert(Math.abs(beyond2 / n - 0.0455) < 0.003);
});

Deno.test("fillNormal() scales, and each element stands alone", () => {
  const long = fillNormal(new Float32Array(100), { seed: 1, stream: 9, mean: 3, std: 0.02 });
  const short = fillNormal(new Float32Array(10), { seed: 1, stream: 9, mean: 3, std: 0.02 });
  assert.deepEqual(long.subarray(0, 10), short);
  assert.equal(long[99], Math.fround(3 + 0.02 * normal(1, 9, 99)));
});

Deno.test("sha256() of the standard's example, and of a file in pieces", async () => {
  assert.equal(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const path = await Deno.makeTempFile();
  try {
    const bytes = new Uint8Array(3_000_001).map((_, i) => i * 31);
    await Deno.writeFile(path, bytes);
    assert.equal(await sha256File(path), sha256(bytes));
  } finally {
    await Deno.remove(path);
  }
});
