/**
 * Checks a value against a zod schema and says in one line what is wrong, where, and what was expected.
 */

import { distance } from "fastest-levenshtein";
import { z } from "zod";
import { UserError } from "./errors.ts";
import type { YamlPath } from "./yaml.ts";

/** Where a value came from, so that errors can name the place. A `YamlFile` is one. */
export interface ValuePlace {
  /** The file's name for errors. */
  file?: string;
  /** The line of the value at a path. */
  lineOf?: (path: YamlPath) => number | undefined;
  /** Path of the value inside its file, put before the paths of the schema: `["training"]`. */
  prefix?: YamlPath;
}

/**
 * The value as the schema returns it (defaults filled in). Everything that is wrong is told in one `UserError`
 * that stands at the first fault's line.
 *
 * @example
 * ```ts
 * import { z } from "zod";
 * import { parseYaml } from "./yaml.ts";
 * import { validate } from "./schema.ts";
 * const schema = z.strictObject({ n_embd: z.int().min(1) });
 * const yaml = parseYaml("n_embd: 128\n", "mine.yaml");
 * validate(schema, yaml.value, yaml).n_embd; // 128
 * ```
 */
export function validate<S extends z.ZodType>(
  schema: S,
  value: unknown,
  place: ValuePlace = {},
): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const prefix = place.prefix ?? [];
  const faults = result.error.issues.flatMap((issue) => explain(issue, value, schema, prefix));
  const lines = faults.map((fault) => place.lineOf?.([...prefix, ...fault.path]));
  const first = faults[0]!;
  const message = faults
    .map((fault, i) => i > 0 && lines[i] !== undefined ? `line ${lines[i]}: ${fault.message}` : fault.message)
    .join("; ");
  throw new UserError(message, {
    ...(place.file === undefined ? {} : { file: place.file }),
    ...(lines[0] === undefined ? {} : { line: lines[0] }),
    ...(first.hint === undefined ? {} : { hint: first.hint }),
  });
}

/**
 * The candidate nearest to what was typed, if it is near enough to be meant: it begins so, or at most a third of
 * the letters (and at least two) differ.
 *
 * @example
 * ```ts
 * import { didYouMean } from "./schema.ts";
 * didYouMean("lerning_rate", ["batch_size", "learning_rate"]); // "learning_rate"
 * ```
 */
export function didYouMean(typed: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(typed.length / 3)) + 1;
  for (const candidate of candidates) {
    const begins = typed.length >= 3 && candidate.startsWith(typed);
    const d = begins ? 1 : distance(typed.toLowerCase(), candidate.toLowerCase());
    if (d < least && d < candidate.length) [best, least] = [candidate, d];
  }
  return best;
}

interface Fault {
  path: PropertyKey[];
  message: string;
  hint?: string;
}

/** What one of zod's issues means for the user; several faults where it names several unknown keys. */
function explain(issue: z.core.$ZodIssue, value: unknown, schema: z.ZodType, prefix: YamlPath): Fault[] {
  const field = [...prefix, ...issue.path].map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(fieldSchema(schema, issue.path)?.properties ?? {});
    return issue.keys.map((key) => {
      const near = didYouMean(key, known);
      const where = field === "" ? "" : ` in ${field}`;
      return {
        path: [...issue.path, key],
        message: `unknown key "${key}"${where}${near === undefined ? "" : `, did you mean "${near}"?`}`,
        ...(known.length === 0 ? {} : { hint: `known keys: ${known.join(", ")}` }),
      };
    });
  }
  const got = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)?.[key], value);
  const at = fieldSchema(schema, issue.path);
  const description = at?.description;
  const name = field === "" ? "the value" : field;
  const wanted = at?.type === "integer"
    ? expected(issue, got).replace("a number", "a whole number")
    : expected(issue, got);
  const message = issue.code === "custom"
    ? (field === "" ? issue.message : `${field}: ${issue.message}`)
    : got === undefined
    ? `${name} is missing, expected ${wanted}`
    : `${name}: expected ${wanted}, got ${show(got)}`;
  return [{ path: issue.path, message, ...(description === undefined ? {} : { hint: description }) }];
}

/** What would have been right. */
function expected(issue: z.core.$ZodIssue, got: unknown): string {
  switch (issue.code) {
    case "invalid_type":
      return TYPE_NAMES[issue.expected] ?? issue.expected;
    case "invalid_value": {
      const options = issue.values.map(String);
      const near = typeof got === "string" ? didYouMean(got, options) : undefined;
      const list = issue.values.map(show).join(", ");
      return `${options.length > 1 ? "one of " : ""}${list}${
        near === undefined ? "" : ` (did you mean "${near}"?)`
      }`;
    }
    case "too_small":
      return bound(issue.origin, issue.inclusive ? "at least" : "more than", issue.minimum);
    case "too_big":
      return bound(issue.origin, issue.inclusive ? "at most" : "less than", issue.maximum);
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    case "invalid_union": {
      const each = issue.errors.map((issues) => issues[0]).filter((inner) => inner !== undefined);
      const texts = each.map((inner) => inner.code === "custom" ? inner.message : expected(inner, got));
      return [...new Set(texts)].join(" or ") || "another form";
    }
    default:
      return issue.message;
  }
}

const TYPE_NAMES: Record<string, string> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  object: "a section of keys",
  record: "a section of keys",
  array: "a list",
};

function bound(origin: string, relation: string, limit: number | bigint): string {
  if (origin === "string") return `text of ${relation} ${limit} characters`;
  if (origin === "array") return `a list of ${relation} ${limit} items`;
  return `a number of ${relation} ${limit}`;
}

/** A value as the user wrote it, cut short. */
function show(value: unknown): string {
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? text.slice(0, 57) + "..." : text;
}

/** The JSON Schema of the field at a path; undefined where the schema is no plain tree of objects there. */
function fieldSchema(schema: z.ZodType, path: readonly PropertyKey[]): JsonSchema | undefined {
  let at = z.toJSONSchema(schema, { io: "input", unrepresentable: "any", reused: "inline" }) as
    | JsonSchema
    | undefined;
  for (const key of path) {
    at = at?.properties?.[String(key)] ?? (typeof key === "number" ? at?.items : undefined);
  }
  return at;
}

interface JsonSchema {
  type?: string;
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  description?: string;
}
