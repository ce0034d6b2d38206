/** Counting tests from a report of Deno's own making. */

import assert from "assert";
import * as path from "path";
import { countTests } from "../../scripts/test_report.ts";

Deno.test("countTests() agrees with what was run", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      path.join(folder, "some_test.ts"),
      `Deno.test("good", async (t) => { await t.step("step", () => {}); });
       Deno.test("a <failure> & co", () => {});
       Deno.test("bad", () => { throw new Error("<skipped/> </testcase>"); });
       Deno.test({ name: "left out", ignore: 1 > 0, fn() {} });`,
    );
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--reporter=junit", folder],
      stderr: "null",
    }).output();
    assert.deepEqual(countTests(new TextDecoder().decode(stdout)), { passed: 3, failed: 1, skipped: 1 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("countTests() counts nothing in an empty report", () => {
  assert.deepEqual(countTests(""), { passed: 0, failed: 0, skipped: 0 });
});
