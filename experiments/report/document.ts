/**
 * A report as a list of blocks, so that Markdown and HTML say the same. Names and texts of runs are plain text in all of them: each
 * renderer escapes what it writes.
 */

import type { Chart } from "../charts/chart.ts";
import type { Table } from "../charts/table.ts";

/** One block of a report. */
export type Block =
  | { kind: "heading"; text: string }
  | { kind: "text"; text: string }
  | { kind: "list"; items: string[] }
  | { kind: "table"; table: Table }
  /** Charts that belong together; `name` is the first part of their files' names. */
  | { kind: "charts"; charts: { name: string; chart: Chart }[] }
  /** Texts to be read side by side. */
  | { kind: "samples"; samples: { name: string; text: string }[] };

/** A report. */
export interface Document {
  title: string;
  blocks: Block[];
}
