/** Texts of others on a terminal: names, tags and samples may hold anything, and must not move the cursor or lie in order. */

/** Control characters, and those that turn the direction of writing. */
const UNSEEN = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * A text on one line: what would not be seen stands as `\n` or `\u001b`, and what is longer ends in `…`.
 *
 * @param most letters to keep @default all
 *
 * @example
 * ```ts
 * import { oneLine } from "./plain_text.ts";
 * oneLine("red \x1b[31m\n"); // "red \\u001b[31m\\n"
 * ```
 */
export function oneLine(text: string, most = Infinity): string {
  const start = text.length > most * 4 ? text.slice(0, most * 4) : text; // a letter may be several characters
  const letters = [...start.replace(UNSEEN, escaped)];
  return letters.length > most || start.length < text.length
    ? letters.slice(0, most - 1).join("") + "…"
    : letters.join("");
}

/** A text as it is, its lines kept, without what could move the cursor. */
export function manyLines(text: string): string {
  return text.replace(
    UNSEEN,
    (character) => character === "\n" || character === "\t" ? character : escaped(character),
  );
}

function escaped(character: string): string {
  const known: Record<string, string> = { "\n": "\\n", "\t": "\\t", "\r": "\\r" };
  return known[character] ?? `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`;
}

/** A value in few letters: six digits of a number, the items of a list, nothing for null. */
export function brief(value: unknown, most = 40): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  if (typeof value === "string") return oneLine(value, most);
  if (Array.isArray(value)) return oneLine(value.map((item) => brief(item)).join(", "), most);
  return oneLine(JSON.stringify(value), most);
}
