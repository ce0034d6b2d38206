/** AdamW with 8-bit moments: the levels, the codes of values, a whole step from given state, and what it takes in memory. */

import assert from "assert";
import { axis, blockCount, layoutParameters, type OptimizerOptions, rowsOf } from "../../gpu/mod.ts";
import { levels } from "./float64_optimizers.ts";
import { openOptimizer, random, SETTINGS, SIZES, SPECS } from "./optimizer_support.ts";
import { assertClose, ROUNDING, withGpu } from "./support.ts";
import { uniform } from "../../common/mod.ts";

const BLOCK = 256;
const SETTINGS_8BIT: OptimizerOptions = { ...SETTINGS, optimizer: "adamw_8bit" };

const SIGNED = levels(true).filter((level) => level > 0);
const UNSIGNED = levels(false).filter((level) => level > 0);

/** The level of a code: codes grow with the size, those from 128 on are negative, 128 is 1; without signs 1 is 1. */
function levelOf(signed: boolean, code: number): number {
  if (code === 0) return 0;
  if (!signed) return code === 1 ? 1 : UNSIGNED[code - 2]!;
  if (code === 128) return 1;
  return code < 128 ? SIGNED[code - 1]! : -SIGNED[code - 129]!;
}

/** A vector of 256 numbers: one block. */
const ONE = [{ name: "p", rows: rowsOf(1), cols: axis(BLOCK), decay: false }];
const CODES = Uint8Array.from({ length: BLOCK }, (_, i) => i);
const fill = (value: number) => new Float32Array(BLOCK).fill(value);

Deno.test("every code stands for its level, and a moment that only shrinks keeps its codes", () =>
  withGpu({}, async (gpu) => {
    const settings = { ...SETTINGS_8BIT, beta1: 0.5, beta2: 0.5, epsilon: 1, weight_decay: 0 };
    const step = async (planes: { m: Uint8Array; v: Uint8Array }) => {
      const opened = openOptimizer(gpu, settings, { p: fill(0) }, ONE);
      opened.store.write("p", planes.m, "exp_avg");
      opened.store.write("p", planes.v, "exp_avg_sq");
      for (const plane of ["exp_avg_absmax", "exp_avg_sq_absmax"] as const) {
        opened.store.write("p", Float32Array.of(4), plane);
      }
      await opened.step(0.5, { p: fill(0) }); // corrections are 1/2: p = -rate / (1/2) · m / (sqrt(v) / sqrt(1/2) + 1)
      const read = await opened.read();
      opened.close();
      return read;
    };
    const first = await step({ m: CODES, v: new Uint8Array(BLOCK) });
    const m = Float64Array.from(CODES, (code) => 2 * levelOf(true, code)); // 4 · 0.5 · level
    assertClose("m", first["p value"]!, m.map((x) => -x), 8, m.map(Math.abs));
    assert.deepEqual(first["p exp_avg"], CODES);
    assert.deepEqual(first["p exp_avg_absmax"], Float32Array.of(2));
    assert.deepEqual(first["p exp_avg_sq_absmax"], Float32Array.of(0));

    const second = await step({ m: new Uint8Array(BLOCK).fill(128), v: CODES });
    const p = Float64Array.from(CODES, (code) => -2 / (Math.sqrt(2 * levelOf(false, code) / 0.5) + 1));
    assertClose("v", second["p value"]!, p, 8, p.map(Math.abs));
    assert.deepEqual(second["p exp_avg_sq"], CODES);
    assert.deepEqual(second["p exp_avg_sq_absmax"], Float32Array.of(2));
  }));

/** Numbers over nine decades, of both signs. */
const spread = (stream: number) =>
  new Float32Array(BLOCK).map((_, i) => (i % 2 === 0 ? 1 : -1) * 10 ** (-9 * uniform(5, stream, i)));

Deno.test("a value gets the code of the nearest level, and a second moment above 0 never that of 0", () =>
  withGpu({}, async (gpu) => {
    const settings = { ...SETTINGS_8BIT, beta1: 0, beta2: 0 }; // the moments are the gradient and its square
    for (const [stream, scale] of [[1, 1], [2, 1e-8], [3, 1e6]] as const) {
      const gradient = spread(stream).map((g) => g * scale);
      const opened = openOptimizer(gpu, settings, { p: fill(0) }, ONE);
      await opened.step(0.1, { p: gradient });
      const read = await opened.read();
      opened.close();
      for (const [plane, signed] of [["exp_avg", true], ["exp_avg_sq", false]] as const) {
        const values = gradient.map((g) => signed ? g : g * g);
        const absmax = Math.max(...values.map(Math.abs));
        assert.deepEqual(read[`p ${plane}_absmax`], Float32Array.of(absmax));
        const all = levels(signed).filter((level) => signed || level > 0);
        values.forEach((value, i) => {
          const x = value / absmax;
          const found = levelOf(signed, read[`p ${plane}`]![i]!);
          const nearest = Math.min(...all.map((level) => Math.abs(level - x)));
          const excess = Math.abs(found - x) - nearest;
          // Halfway between two levels rounding decides which.
          assert(
            excess <= 8 * ROUNDING * Math.abs(x),
            `${plane} ${x}: ${found}, ${excess} further than the nearest`,
          );
          // The distance that the paper's levels bound: half a part of the decade, 0.9 / 64 / 2 of it at most …
          const decade = Math.max(-6, Math.ceil(Math.log10(Math.abs(x))));
          const parts = 2 ** ((signed ? 6 : 7) + decade);
          const most = 10 ** decade * 0.9 / parts / 2;
          assert(
            Math.abs(found - x) <= Math.max(most, signed ? 2.75e-7 : 3.25e-7) * 1.01,
            `${plane} ${x}: ${found}`,
          );
        });
      }
    }
  }));

Deno.test("a step from any state is the paper's: moments up, AdamW, moments down by blocks", async () => {
  // In one range, and in ranges of 64 KiB that cut the store.
  const large = { name: "large", rows: axis(100), cols: axis(150), decay: true };
  const specs = [...SPECS, large] as typeof SPECS;
  const sizes = new Map([...SIZES, ["large", 100 * 150]]);
  for (const options of [{}, { operands: "buffer", maxBindingBytes: 65536 }] as const) {
    await withGpu(options, async (gpu) => {
      const draw = (stream: number) => ({
        ...random(stream),
        large: new Float32Array(100 * 150).map((_, i) => uniform(9, stream, i) - 0.5),
      });
      const settings = { ...SETTINGS_8BIT, grad_clip: 1 };
      const opened = openOptimizer(gpu, settings, draw(1), specs);
      for (let t = 1; t <= 3; t++) {
        const before = await opened.read();
        const gradients = draw(1 + t) as Record<string, Float32Array<ArrayBuffer>>;
        const norm = await opened.step(0.01, gradients);
        const factor = Math.min(1, 1 / (norm + 1e-6));
        const after = await opened.read();
        for (const spec of specs) {
          const { name, decay } = spec;
          const blocks = blocksOf(spec);
          assert.equal(blockCount(spec), after[`${name} exp_avg_absmax`]!.length);
          const up = (read: typeof before, plane: "exp_avg" | "exp_avg_sq", i: number) =>
            read[`${name} ${plane}_absmax`]![blocks[i]!]! *
            levelOf(plane === "exp_avg", read[`${name} ${plane}`]![i]!);
          const most = {
            exp_avg: new Float64Array(blockCount(spec)),
            exp_avg_sq: new Float64Array(blockCount(spec)),
          };
          const moments = Array.from({ length: sizes.get(name)! }, (_, i) => {
            const g = factor * gradients[name]![i]!;
            const m = 0.9 * up(before, "exp_avg", i) + 0.1 * g;
            const v = 0.95 * up(before, "exp_avg_sq", i) + 0.05 * g * g;
            most.exp_avg[blocks[i]!] = Math.max(most.exp_avg[blocks[i]!]!, Math.abs(m));
            most.exp_avg_sq[blocks[i]!] = Math.max(most.exp_avg_sq[blocks[i]!]!, v);
            return { m, v };
          });
          const expected = moments.map(({ m, v }, i) => {
            const deviation = Math.sqrt(v / (1 - 0.95 ** t)) + 1e-8;
            const kept = before[`${name} value`]![i]! * (1 - 0.01 * (decay ? 0.1 : 0));
            return kept - 0.01 * m / (1 - 0.9 ** t) / deviation;
          });
          assertClose(name, after[`${name} value`]!, expected, 40);
          for (const plane of ["exp_avg", "exp_avg_sq"] as const) {
            assertClose(`${name} ${plane}_absmax`, after[`${name} ${plane}_absmax`]!, most[plane], 20);
            moments.forEach((moment, i) => {
              const x = (plane === "exp_avg" ? moment.m : moment.v) / most[plane][blocks[i]!]!;
              const error = Math.abs(up(after, plane, i) / most[plane][blocks[i]!]! - x);
              assert(error <= 0.9 / 64 / 2 * 1.001, `${name} ${plane}[${i}]: ${error}`); // half a part of the first decade
            });
          }
        }
      }
      opened.close();
    });
  }
});

/** The block that each element of a parameter lies in: rows are padded to 64 numbers, groups to multiples of 4. */
function blocksOf({ rows, cols }: typeof SPECS[number]): number[] {
  const padded = (size: number, multiple: number) => Math.ceil(size / multiple) * multiple;
  const width = padded(cols.groups * padded(cols.size, cols.multiple), 64);
  const places = (axis: typeof rows) =>
    Array.from(
      { length: axis.groups * axis.size },
      (_, i) => Math.floor(i / axis.size) * padded(axis.size, axis.multiple) + i % axis.size,
    );
  return places(rows).flatMap((row) => places(cols).map((col) => Math.floor((row * width + col) / BLOCK)));
}

Deno.test("8-bit moments take at most 27 % of AdamW's, and each parameter begins a block", () => {
  const limits = {
    operands: "texture",
    maxBindingBytes: 1 << 27,
    maxBufferBytes: 1 << 28,
    maxTextureSide: 8192,
  } as const;
  const specs = [
    { name: "wte", rows: axis(90, { multiple: 128 }), cols: axis(128), decay: true },
    { name: "bias", rows: rowsOf(1), cols: axis(384), decay: false },
    { name: "gain", rows: rowsOf(1), cols: axis(128), decay: false },
  ];
  const [adamw, eight] = (["adamw", "adamw_8bit"] as const).map((name) =>
    layoutParameters(specs, limits, name)
  );
  assert(eight!.stateBytes <= 0.27 * adamw!.stateBytes, `${eight!.stateBytes} of ${adamw!.stateBytes}`);
  for (const { offset } of eight!.slots.values()) assert.equal(offset % (4 * BLOCK), 0);
});
