/** What of `deno doc --json` the API pages are made of. */

/** The whole of it: the symbols of each module that was asked for. */
export interface DocJson {
  nodes: Record<string, { symbols: DocSymbol[] }>;
}

/** An exported name, with all that it stands for: a schema and its type may share one. */
export interface DocSymbol {
  name: string;
  declarations: Declaration[];
}

/** A declaration with its comment. */
export interface Declaration {
  kind: string;
  location: { filename: string };
  jsDoc?: JsDoc;
  def?: Definition;
}

/** A comment: its text, and its tags such as `@param`. */
export interface JsDoc {
  doc?: string;
  tags?: { kind: string; name?: string; doc?: string }[];
}

/** What is declared; which of these are there depends on the kind. */
export interface Definition extends Callable, Members {
  tsType?: TsType;
  constructors?: (Callable & { jsDoc?: JsDoc })[];
  extends?: TsType | TsType[] | string;
  superTypeParams?: TsType[];
}

/** Something with parameters. */
export interface Callable {
  params?: Param[];
  returnType?: TsType;
  isAsync?: boolean;
  isGenerator?: boolean;
}

/** What an interface, a class or a type literal holds. */
export interface Members {
  properties?: Member[];
  methods?: (Member & Callable & { functionDef?: Callable; kind?: string })[];
  callSignatures?: Callable[];
  indexSignatures?: (Callable & { tsType?: TsType; readonly?: boolean })[];
}

/** A property or method. */
export interface Member {
  name: string;
  jsDoc?: JsDoc;
  tsType?: TsType;
  optional?: boolean;
  readonly?: boolean;
  isStatic?: boolean;
  accessibility?: string;
}

/** A parameter: a name, a pattern, or either with a default. */
export interface Param {
  kind: string;
  name?: string;
  optional?: boolean;
  tsType?: TsType;
  left?: Param;
  arg?: Param;
}

/** A type; what `value` is depends on the kind. */
export interface TsType {
  kind: string;
  repr?: string;
  // deno-lint-ignore no-explicit-any -- one form for each of twenty kinds; `typeText` is the one place that reads it
  value?: any;
}
