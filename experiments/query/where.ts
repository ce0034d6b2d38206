/**
 * The language of `--where`, which says which runs are meant:
 *
 *     expression = expression "or" expression | expression "and" expression | "not" expression
 *                | "(" expression ")" | name comparison value | name
 *     comparison = "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "~"
 *
 * `not` binds closer than `and`, and that closer than `or`. A name is one of `Names`; one with spaces or signs stands in
 * backticks. A value is a number, `true`, `false`, `null`, or a text, in quotes where it has spaces or signs. A name alone
 * asks whether its value is there, and is not `false`. Numbers compare with numbers and texts with texts, letter by letter
 * (which is right for times); `=` of a list asks for one of its items, and `~` whether a text contains another, in capitals
 * or not. A run without the value fails every comparison but `= null`; `a != b` is `not a = b`.
 */

import { UserError } from "../../common/mod.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import type { Names, Value } from "./names.ts";
import { type Token, tokensOf } from "./tokens.ts";

/** Says whether a run is meant. */
export type Filter = (run: RunEntry) => boolean;

/** Deeper than this an expression is no person's. */
const MAX_DEPTH = 100;

/**
 * The filter that an expression describes.
 *
 * @throws UserError that points at the place where the expression goes wrong, or names what is not known
 *
 * @example
 * ```ts
 * import { Names } from "./names.ts";
 * import { parseWhere } from "./where.ts";
 * const runs = [] as import("../reading/run_entry.ts").RunEntry[];
 * const isGood = parseWhere('state = completed and (tag = "a" or not archived)', new Names(runs));
 * runs.filter(isGood); // []
 * ```
 */
export function parseWhere(text: string, names: Names): Filter {
  const tokens = tokensOf(text);
  let at = 0;
  let depth = 0;

  const fail = (expected: string): never => {
    const token = tokens[at];
    const place = token?.start ?? text.length;
    throw new UserError(
      `expected ${expected}${
        token === undefined ? " at the end" : ` at ${JSON.stringify(token.text.slice(0, 40))}`
      }`,
      {
        file: "--where",
        hint: `${text.slice(Math.max(0, place - 30), place)}⟨here⟩${text.slice(place, place + 30)}`,
      },
    );
  };
  const isWord = (word: string) => tokens[at]?.kind === "word" && tokens[at]!.text.toLowerCase() === word;
  const isSign = (sign: string) => tokens[at]?.kind === "sign" && tokens[at]!.text === sign;
  const take = (): Token => tokens[at++]!;

  const anyOf = (): Filter => {
    const parts = [allOf()];
    while (isWord("or")) take(), parts.push(allOf());
    return parts.length === 1 ? parts[0]! : (run) => parts.some((part) => part(run));
  };
  const allOf = (): Filter => {
    const parts = [negated()];
    while (isWord("and")) take(), parts.push(negated());
    return parts.length === 1 ? parts[0]! : (run) => parts.every((part) => part(run));
  };
  const negated = (): Filter => {
    if (++depth > MAX_DEPTH) fail("a less deeply nested expression");
    try {
      if (isWord("not")) {
        take();
        const part = negated();
        return (run) => !part(run);
      }
      if (!isSign("(")) return comparison();
      take();
      const part = anyOf();
      if (!isSign(")")) fail("and, or, or )");
      take();
      return part;
    } finally {
      depth--;
    }
  };
  const comparison = (): Filter => {
    const name = tokens[at];
    if (name === undefined || (name.kind !== "word" && name.kind !== "name")) return fail("a name");
    take();
    const get = names.getter(name.text);
    if (tokens[at]?.kind !== "comparison") return (run) => isThere(get(run));
    const compare = COMPARISONS[take().text]!;
    const value = tokens[at];
    if (value === undefined || (value.kind !== "word" && value.kind !== "text")) return fail("a value");
    take();
    const wanted = value.kind === "text" ? value.text : literal(value.text);
    return (run) => compare(get(run), wanted);
  };

  const filter = anyOf();
  if (at < tokens.length) fail("and, or, or the end");
  return filter;
}

function isThere(value: Value): boolean {
  return value !== null && value !== false && value !== "" && !(Array.isArray(value) && value.length === 0);
}

/** What an unquoted value means. */
function literal(word: string): Value {
  const number = Number(word);
  if (Number.isFinite(number)) return number;
  const known: Record<string, Value> = { true: true, false: false, null: null };
  return Object.hasOwn(known, word) ? known[word]! : word;
}

function equals(value: Value, wanted: Value): boolean {
  if (Array.isArray(value)) return value.some((item) => equals(item, wanted));
  if (value === null || wanted === null) return value === wanted;
  return typeof value === typeof wanted ? value === wanted : String(value) === String(wanted);
}

/** Negative, zero or positive as of a sort; NaN for what has no order. */
function order(value: Value, wanted: Value): number {
  if (typeof value === "number" && typeof wanted === "number") return value - wanted;
  if (typeof value !== "string" || typeof wanted === "boolean" || wanted === null) return NaN;
  const text = String(wanted);
  return value < text ? -1 : value > text ? 1 : 0;
}

function contains(value: Value, wanted: Value): boolean {
  if (Array.isArray(value)) return value.some((item) => contains(item, wanted));
  return value !== null && String(value).toLowerCase().includes(String(wanted).toLowerCase());
}

const COMPARISONS: Record<string, (value: Value, wanted: Value) => boolean> = {
  "=": equals,
  "==": equals,
  "!=": (value, wanted) => !equals(value, wanted),
  "<": (value, wanted) => order(value, wanted) < 0,
  "<=": (value, wanted) => order(value, wanted) <= 0,
  ">": (value, wanted) => order(value, wanted) > 0,
  ">=": (value, wanted) => order(value, wanted) >= 0,
  "~": contains,
};
