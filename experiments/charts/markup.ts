/**
 * SVG and HTML as text, safe by construction: what is not made here is escaped. So a run called `<script>` is a name and
 * nothing else. Numbers are written with two decimals at most, so that the same data gives the same bytes everywhere.
 */

/** Text that is markup already. Only the functions of this file make it. */
export class Markup {
  constructor(readonly text: string) {}

  /** The markup itself. */
  toString(): string {
    return this.text;
  }
}

/** An attribute's value; undefined leaves the attribute out. */
export type Attribute = string | number | undefined;

/**
 * An element. Strings among the children are text and escaped, numbers among the attributes are rounded to 0.01.
 *
 * @example
 * ```ts
 * import assert from "assert";
 * import { element } from "./markup.ts";
 * assert.equal(String(element("text", { x: 1 / 3 }, "a < b")), '<text x="0.33">a &lt; b</text>');
 * ```
 */
export function element(
  name: string,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: readonly (Markup | string)[]
): Markup {
  const written = Object.entries(attributes).filter(([, value]) => value !== undefined).map(([key, value]) =>
    ` ${key}="${typeof value === "number" ? coordinate(value) : escape(value!)}"`
  ).join("");
  if (children.length === 0) return new Markup(`<${name}${written}/>`);
  return new Markup(`<${name}${written}>${join(children)}</${name}>`);
}

/** Several pieces one after the other; strings are escaped. */
export function fragment(...pieces: readonly (Markup | string)[]): Markup {
  return new Markup(join(pieces));
}

/** Style rules as they stand; for text of our own only. */
export function style(rules: string): Markup {
  return new Markup(`<style>${rules}</style>`);
}

/** A number as it stands in a path or attribute: two decimals at most. */
export function coordinate(value: number): string {
  return String(Math.round(value * 100) / 100 + 0); // + 0: never "-0"
}

function join(pieces: readonly (Markup | string)[]): string {
  return pieces.map((piece) => piece instanceof Markup ? piece.text : escape(piece)).join("");
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Escapes text for both content and attributes. Characters that XML forbids become U+FFFD. */
function escape(text: string): string {
  return text.toWellFormed()
    // deno-lint-ignore no-control-regex -- these are the ones that XML 1.0 does not allow
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
