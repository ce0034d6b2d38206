/** Types and parameters of `deno doc --json` as TypeScript, on one line. */

import type { Callable, Members, Param, TsType } from "./doc_json.ts";

/**
 * A type as TypeScript. Throws for a kind that it does not know, so that no page is quietly wrong.
 *
 * @example
 * ```ts
 * import assert from "assert";
 * import { typeText } from "./type_text.ts";
 * const value = [{ kind: "keyword", value: "string" }, { kind: "keyword", value: "undefined" }];
 * assert.equal(typeText({ kind: "union", value }), "string | undefined");
 * ```
 */
export function typeText(type: TsType | undefined): string {
  if (type === undefined) return "unknown";
  const { kind, value } = type;
  switch (kind) {
    case "keyword":
      return value;
    case "this":
      return "this";
    case "literal":
      return literalText(value);
    case "typeRef":
      return value.typeName +
        (value.typeParams === undefined ? "" : `<${value.typeParams.map(typeText).join(", ")}>`);
    case "typeQuery":
      return `typeof ${typeof value === "string" ? value : value.name ?? type.repr}`;
    case "array":
      return `${grouped(value)}[]`;
    case "tuple":
      return `[${value.map(typeText).join(", ")}]`;
    case "rest":
      return `...${typeText(value)}`;
    case "optional":
      return `${typeText(value)}?`;
    case "parenthesized":
      return `(${typeText(value)})`;
    case "union":
      return value.map(typeText).join(" | ");
    case "intersection":
      return value.map(grouped).join(" & ");
    case "typeOperator":
      return `${value.operator} ${typeText(value.tsType)}`;
    case "indexedAccess":
      return `${grouped(value.objType)}[${typeText(value.indexType)}]`;
    case "typeLiteral":
      return literalMembers(value);
    case "fnOrConstructor":
      return `${value.constructor === true ? "new " : ""}(${paramsText(value.params)}) => ${
        typeText(value.tsType)
      }`;
    case "mapped":
      return `{ [${value.typeParam.name} in ${typeText(value.typeParam.constraint)}]: ${
        typeText(value.tsType)
      } }`;
    case "typePredicate":
      return `${value.param?.name ?? "this"} is ${typeText(value.type)}`;
    default:
      throw new Error(`a type of the kind ${kind} has no text yet: ${JSON.stringify(type)}`);
  }
}

/**
 * Parameters as they stand in a signature. One that has a default may be left out, and so is marked.
 *
 * @param names names from the comment, for parameters that are taken apart at once and have none
 */
export function paramsText(params: readonly Param[] = [], names: readonly string[] = []): string {
  return params.map((param, i) => paramText(param, names[i] ?? "options")).join(", ");
}

function paramText(param: Param, name: string): string {
  if (param.kind === "rest") return `...${paramText({ tsType: param.tsType, ...param.arg! } as Param, name)}`;
  const own = param.left ?? param;
  const mark = param.kind === "assign" || own.optional ? "?" : "";
  return `${own.name ?? name}${mark}: ${typeText(own.tsType ?? param.tsType)}`;
}

/** `name(params): result`, with what stands before and after. */
export function signature(name: string, callable: Callable, names: readonly string[] = []): string {
  const result = callable.returnType === undefined ? "" : `: ${typeText(callable.returnType)}`;
  return `${name}(${paramsText(callable.params, names)})${result}`;
}

function literalText(
  value: { kind: string; string?: string; tsTypes?: TsType[] } & Record<string, unknown>,
): string {
  if (value.kind === "string") return JSON.stringify(value.string);
  if (value.kind === "template") return "`…`";
  return String(value[value.kind]);
}

function literalMembers(
  { properties = [], methods = [], indexSignatures = [], callSignatures = [] }: Members,
): string {
  const members = [
    ...callSignatures.map((callable) => signature("", callable)),
    ...indexSignatures.map(({ params, tsType }) => `[${paramsText(params)}]: ${typeText(tsType)}`),
    ...properties.map(({ name, optional, readonly, tsType }) =>
      `${readonly ? "readonly " : ""}${name}${optional ? "?" : ""}: ${typeText(tsType)}`
    ),
    ...methods.map((method) => signature(method.name, method)),
  ];
  return members.length === 0 ? "{}" : `{ ${members.join("; ")} }`;
}

/** In parentheses where a suffix or `&` would else bind to a part of it. */
function grouped(type: TsType): string {
  const text = typeText(type);
  return ["union", "intersection", "typeOperator", "fnOrConstructor"].includes(type.kind)
    ? `(${text})`
    : text;
}
