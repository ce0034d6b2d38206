/** Statistics of a dataset as text for a terminal. */

import { humanCount } from "../../common/mod.ts";
import type { DatasetStats } from "./stats.ts";

const BAR_WIDTH = 40;

/** Counts, coverage, compression, histograms, the commonest tokens and samples, line by line. */
export function describeStats(stats: DatasetStats): string {
  const { vocabulary: v, compression: c, dropped } = stats;
  return [
    `documents   ${stats.documents}`,
    `left out    ${dropped.repeated_lines} repeated lines, ${dropped.near_duplicates} near duplicates`,
    `text        ${stats.characters} characters, ${stats.bytes} bytes, ${stats.tokens} tokens`,
    `vocabulary  ${v.used} of ${v.size} tokens used (${
      percent(v.coverage)
    }), ${v.unknown} unknown characters`,
    `a token     ${c.characters_per_token.toFixed(3)} characters, ${c.bytes_per_token.toFixed(3)} bytes`,
    "",
    "documents by their length in characters",
    ...bars(stats.document_characters.map(({ up_to, count }) => [`up to ${up_to}`, count])),
    "",
    "tokens by their length in bytes",
    ...bars(stats.token_bytes.map(({ bytes, count }) => [String(bytes), count])),
    "",
    "commonest tokens",
    ...stats.commonest.map(({ id, text, count }) =>
      `  ${String(id).padStart(6)}  ${JSON.stringify(text).padEnd(16)} ${percent(count / stats.tokens)}`
    ),
    "",
    ...stats.samples.flatMap(({ at, text }) => [
      `from token ${at}`,
      ...text.split("\n").map((line) => `  ${line}`.trimEnd()),
      "",
    ]),
  ].join("\n").trimEnd();
}

function bars(rows: readonly (readonly [string, number])[]): string[] {
  const most = Math.max(1, ...rows.map(([, count]) => count));
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, count]) =>
    `  ${label.padStart(width)}  ${"#".repeat(Math.ceil(count / most * BAR_WIDTH))} ${humanCount(count)}`
  );
}

function percent(part: number): string {
  return `${(100 * part).toFixed(part < 0.1 ? 2 : 1)} %`;
}
