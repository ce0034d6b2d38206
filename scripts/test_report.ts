/**
 * Reads the JUnit report of `deno test` and prints `N passed, N failed` (and `, N skipped` where some were). Exits with
 * 1 if a test failed or was skipped, or if none ran: `deno run --allow-read scripts/test_report.ts report.xml $?`. The
 * exit status of `deno test` is wanted since a file that fails before its tests begin is not in the report.
 */

/** How many tests ended how; steps of a test count as tests. */
export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
}

/**
 * Counts the test cases of a JUnit report, which are told apart by the element inside.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { countTests } from "./test_report.ts";
 * const xml = '<testcase name="a"></testcase><testcase name="b"><failure message="no"/></testcase>';
 * assert.deepEqual(countTests(xml), { passed: 1, failed: 1, skipped: 0 });
 * ```
 */
export function countTests(xml: string): TestCounts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  // Text inside is escaped, so a tag in it is a tag.
  for (const [, inside = ""] of xml.matchAll(/<testcase\b[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    if (/<(failure|error)\b/.test(inside)) counts.failed++;
    else if (/<skipped\b/.test(inside)) counts.skipped++;
    else counts.passed++;
  }
  return counts;
}

if (import.meta.main) {
  const [report = "report.xml", status = "0"] = Deno.args;
  const counts = countTests(await Deno.readTextFile(report));
  if (status !== "0" && counts.failed === 0) counts.failed = 1;
  const { passed, failed, skipped } = counts;
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  if (passed === 0 || failed > 0 || skipped > 0) Deno.exit(1);
}
