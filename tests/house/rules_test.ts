/** Rules that the linter does not know. */

import assert from "assert";
import * as path from "path";
import { ROOMS } from "./arrows.ts";
import { filesBelow, ROOT } from "./files.ts";

const SOURCES = filesBelow(["mod.ts", ...ROOMS, "scripts", "tests"]).filter((file) =>
  /\.(ts|wgsl)$/.test(file)
);
const MAX_LINES = 500;

/** A WGSL variable of a function without an initial value: in a loop, naga 29 does not zero it anew (gfx-rs/wgpu#9489). */
const BARE_VAR = /^\s*var\s+\w+\s*(:[^=;]+)?;/;

Deno.test("the rule on WGSL variables knows a bare one from an initialised one", () => {
  for (const bare of ["  var sum: f32;", "var x : vec4<f32> ;", "\tvar a: array<f32, 4>;"]) {
    assert.match(bare, BARE_VAR);
  }
  for (const fine of ["var sum = 0.0;", "var sum: f32 = 0.0;", "var<workgroup> tile: array<f32, 64>;"]) {
    assert.doesNotMatch(fine, BARE_VAR);
  }
});

Deno.test("every WGSL variable in a function has an initial value", () => {
  const bare = SOURCES.filter((file) => !file.endsWith("rules_test.ts")).flatMap((file) =>
    lines(file).flatMap((line, i) => BARE_VAR.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [])
  );
  assert.deepEqual(bare, []);
});

Deno.test(`no file holds more than ${MAX_LINES} lines of code`, () => {
  const isCode = (line: string) => !/^\s*($|\/\/|\/?\*)/.test(line);
  const long = SOURCES.map((file) => ({ file, code: lines(file).filter(isCode).length }));
  assert.deepEqual(long.filter(({ code }) => code > MAX_LINES), []);
});

function lines(file: string): string[] {
  return Deno.readTextFileSync(path.join(ROOT, file)).split("\n");
}
