/** Rows as a table: HTML in a notebook, Markdown in a file, aligned text on a terminal. */

import type { MimeBundle } from "./chart.ts";
import { element, fragment } from "./markup.ts";

/** A table. In a notebook it is shown as one when it is the last value of a cell. */
export class Table {
  readonly #columns: readonly string[];
  readonly #rows: readonly (readonly unknown[])[];

  /** Takes the values row by row; `table` makes one from objects. */
  constructor(columns: readonly string[], rows: readonly (readonly unknown[])[]) {
    this.#columns = columns;
    this.#rows = rows;
  }

  /** A `<table>` element. */
  get html(): string {
    const line = (kind: "th" | "td", cells: readonly unknown[]) =>
      element(
        "tr",
        {},
        ...cells.map((cell) =>
          element(
            kind,
            { style: typeof cell === "number" ? "text-align:right" : "text-align:left" },
            shown(cell),
          )
        ),
      );
    return element(
      "table",
      {},
      element("thead", {}, line("th", this.#columns)),
      element("tbody", {}, fragment(...this.#rows.map((row) => line("td", row)))),
    ).text;
  }

  /** A Markdown table. */
  get markdown(): string {
    const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
    const safe = (value: unknown) =>
      shown(value).replace(/\s+/g, " ").replace(/[\\`*_{}[\]<>|#&]/g, (character) => `\\${character}`);
    const isNumber = this.#columns.map((_, i) => this.#rows.some((row) => typeof row[i] === "number"));
    return line(this.#columns.map(safe)) + line(isNumber.map((right) => right ? "---:" : "---")) +
      this.#rows.map((row) => line(row.map(safe))).join("");
  }

  /** Aligned text. */
  toString(): string {
    const cells = [this.#columns, ...this.#rows].map((row) =>
      row.map((cell) => shown(cell).replace(/\s+/g, " "))
    );
    const widths = this.#columns.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
    return cells.map((row, number) =>
      row.map((cell, i) =>
        typeof this.#rows[number - 1]?.[i] === "number" ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)
      ).join("  ").trimEnd()
    ).join("\n");
  }

  /** What Jupyter shows. */
  [Symbol.for("Jupyter.display")](): MimeBundle {
    return { "text/html": this.html, "text/markdown": this.markdown, "text/plain": this.toString() };
  }

  /** What `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }
}

/**
 * A table out of objects.
 *
 * @param columns keys to show, in their order; when left out all that any row has
 *
 * @example
 * ```ts
 * import { table } from "./table.ts";
 * console.log(table([{ name: "adamw", val_loss: 1.52 }, { name: "lion", val_loss: 1.58 }]));
 * ```
 */
export function table(rows: readonly object[], columns?: readonly string[]): Table {
  const records = rows as readonly Record<string, unknown>[];
  const keys = columns ?? [...new Set(records.flatMap((row) => Object.keys(row)))];
  return new Table(keys, records.map((row) => keys.map((key) => row[key])));
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") {
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)));
  }
  if (typeof value === "string") return value;
  return value instanceof Date ? value.toISOString() : JSON.stringify(value) ?? String(value);
}
