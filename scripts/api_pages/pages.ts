/**
 * The API pages: what `mod.ts` gives to scripts, as Markdown made from the doc comments. One page for each room, and for each
 * drawer of `experiments/`. They are read where the repository is, so they link to one another and to the code.
 */

import type { Declaration, Definition, DocJson, DocSymbol, JsDoc, Member } from "./doc_json.ts";
import { paramsText, signature, typeText } from "./type_text.ts";

/** From `docs/api/` to the repository's root. */
const UP = "../../";

/** What stands above each page's symbols. A page that is not named here is called by its folder. */
const TITLES: Record<string, string> = {
  charts: "Charts and tables",
  common: "Errors and version",
  data: "Data",
  models: "Models",
  monitor: "Monitor",
  pipeline: "Training, sessions, text",
  reading: "Reading runs",
  report: "Reports",
  runner: "Experiments",
  tracker: "Tracking runs",
};

/**
 * Makes the pages.
 *
 * @param json what `deno doc --json mod.ts` prints
 * @returns the Markdown of each page by its file's name; not formatted yet
 */
export function apiPages(json: DocJson): Map<string, string> {
  const root = Object.keys(json.nodes)[0]!.replace(/mod\.ts$/, "");
  const symbols = Object.values(json.nodes).flatMap((node) => node.symbols).map((symbol) => ({
    symbol,
    source: symbol.declarations[0]!.location.filename.replace(root, ""),
  }));
  const isPublic = new Set(symbols.map(({ symbol }) => symbol.name));
  const pages = new Map<string, typeof symbols>();
  for (const one of symbols) {
    const name = pageOf(one.source);
    pages.set(name, [...pages.get(name) ?? [], one]);
  }
  const names = [...pages.keys()].sort();
  const texts = names.map((name): [string, string] => {
    const sections = pages.get(name)!.sort(byName).map(({ symbol, source }) =>
      section(symbol, source, isPublic)
    );
    return [`${name}.md`, `# ${titleOf(name)}\n\n${sections.join("\n")}`];
  });
  return new Map([[
    "README.md",
    index(names.map((name) => [name, pages.get(name)!.map(({ symbol }) => symbol)])),
  ], ...texts]);
}

/** `data/prepare/prepare.ts` stands on the page `data`, `experiments/charts/axes.ts` on `charts`. */
function pageOf(source: string): string {
  const [room, drawer] = source.split("/");
  if (drawer === undefined) return "pipeline"; // mod.ts itself hands the tracker to the trainer
  return room === "experiments" ? drawer : room!;
}

function titleOf(name: string): string {
  return TITLES[name] ?? name;
}

function byName(a: { symbol: DocSymbol }, b: { symbol: DocSymbol }): number {
  const [x, y] = [a.symbol.name, b.symbol.name];
  return x.toLowerCase() < y.toLowerCase() || (x.toLowerCase() === y.toLowerCase() && x < y) ? -1 : 1;
}

function index(pages: [string, DocSymbol[]][]): string {
  const lists = pages.map(([name, symbols]) => {
    const anchors = anchorsOf(symbols);
    const items = symbols.map((symbol, i) =>
      `- [\`${symbol.name}\`](${name}.md#${anchors[i]}): ${firstSentence(symbol)}\n`
    );
    return `## [${titleOf(name)}](${name}.md)\n\n${items.join("")}`;
  });
  return "# API\n\nWhat scripts and notebooks import from `mod.ts`. These pages are made from the doc comments by " +
    "`deno task docs`; do not edit them.\n\n" + lists.join("\n");
}

/** How a page on a git host names its headings; of two that differ in case alone the second gets a number. */
function anchorsOf(symbols: readonly DocSymbol[]): string[] {
  const seen = new Map<string, number>();
  return symbols.map(({ name }) => {
    const anchor = name.toLowerCase();
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

function firstSentence({ declarations }: DocSymbol): string {
  const doc = prose(declarations.find(({ jsDoc }) => jsDoc?.doc !== undefined)?.jsDoc?.doc).replace(
    /\s+/g,
    " ",
  );
  return /^.*?[.:](?= |$)/.exec(doc)?.[0].replace(/:$/, ".") ?? doc;
}

/** One name with all that it declares. */
function section({ name, declarations }: DocSymbol, source: string, isPublic: Set<string>): string {
  const parts = declarations.filter(({ def }) => def !== undefined).map((declaration) =>
    code(declarationText(name, declaration))
  );
  const commented = declarations.find(({ jsDoc }) => jsDoc?.doc !== undefined) ?? declarations[0]!;
  const members = declarations.flatMap(({ def }) => def === undefined ? [] : memberList(def));
  return `## ${name}\n\n${parts.join("\n")}\n` +
    comment(commented.jsDoc, isPublic) +
    (members.length === 0 ? "" : `${members.join("")}\n`) +
    `[${source}](${UP}${source})\n`;
}

/** The declaration without its members, which are listed below it. */
function declarationText(name: string, { kind, def = {}, jsDoc }: Declaration): string {
  const names = paramNames(jsDoc);
  const bases = [def.extends ?? []].flat().map((base) => typeof base === "string" ? base : typeText(base));
  const heirs = bases.length === 0 ? "" : ` extends ${bases.join(", ")}`;
  switch (kind) {
    case "function":
      return `function ${signature(name, def, names)}`;
    case "class":
      return `class ${name}${heirs}`;
    case "interface":
      return `interface ${name}${heirs}`;
    case "typeAlias":
      return `type ${name} = ${typeText(def.tsType)}`;
    default:
      return `const ${name}${def.tsType === undefined ? "" : `: ${typeText(def.tsType)}`}`;
  }
}

function memberList(
  { constructors = [], properties = [], methods = [], indexSignatures = [] }: Definition,
): string[] {
  const isShown = ({ accessibility }: Member) => accessibility !== "private" && accessibility !== "protected";
  return [
    ...constructors.filter(({ jsDoc }) => tagsOf(jsDoc, "internal").length === 0).map((one) =>
      item(`new (${paramsText(one.params, paramNames(one.jsDoc))})`, one.jsDoc)
    ),
    ...indexSignatures.map(({ params, tsType }) =>
      item(`[${paramsText(params)}]: ${typeText(tsType)}`, undefined)
    ),
    ...properties.filter(isShown).map((property) => {
      const { name, optional, readonly, isStatic, tsType, jsDoc } = property;
      const before = `${isStatic ? "static " : ""}${readonly ? "readonly " : ""}`;
      return item(`${before}${name}${optional ? "?" : ""}: ${typeText(tsType)}`, jsDoc);
    }),
    ...methods.filter(isShown).map((method) => {
      const before = method.isStatic ? "static " : method.kind === "getter" ? "get " : "";
      const callable = method.functionDef ?? method;
      if (method.kind === "getter") {
        return item(`${before}${method.name}: ${typeText(callable.returnType)}`, method.jsDoc);
      }
      return item(before + signature(method.name, callable, paramNames(method.jsDoc)), method.jsDoc);
    }),
  ];
}

/** A member with what its comment says, on one line. */
function item(text: string, jsDoc: JsDoc | undefined): string {
  const said = [
    prose(jsDoc?.doc),
    ...tagsOf(jsDoc, "param").map(({ name, doc }) => `\`${name}\`: ${prose(doc)}.`),
    ...tagsOf(jsDoc, "return").map(({ doc }) => `Returns ${prose(doc)}.`),
    ...tagsOf(jsDoc, "throws").map(({ doc }) => `Throws ${prose(doc)}.`),
  ].map((part) => part.replace(/\s+/g, " ").trim().replace(/\.\.$/, ".")).filter((part) => part !== "").join(
    " ",
  );
  return `- \`${text}\`${said === "" ? "" : `: ${said}`}\n`;
}

/** A symbol's comment: text, parameters, result, errors, examples. */
function comment(jsDoc: JsDoc | undefined, isPublic: Set<string>): string {
  const list = [
    ...tagsOf(jsDoc, "param").map(({ name, doc }) => `- \`${name}\`: ${prose(doc)}\n`),
    ...tagsOf(jsDoc, "return").map(({ doc }) => `- returns ${prose(doc)}\n`),
    ...tagsOf(jsDoc, "throws").map(({ doc }) => `- throws ${prose(doc)}\n`),
  ];
  const examples = tagsOf(jsDoc, "example").map(({ doc }) => example(doc ?? "", isPublic));
  return [prose(jsDoc?.doc), list.join(""), ...examples].filter((part) => part !== "").map((part) =>
    `${part}\n\n`
  )
    .join("");
}

/** An example as a script beside `mod.ts` would have it; empty if it needs more than the public names. */
function example(doc: string, isPublic: Set<string>): string {
  let isUsable = true;
  const names = new Set<string>();
  const lines = doc.replace(/^```ts.*$/m, "```ts").split("\n").filter((line) => {
    const [, imported] = /^import \{ (.*) \} from "\.\.?\/.*";$/.exec(line) ?? [];
    if (imported === undefined) return true;
    for (const name of imported.split(", ")) {
      names.add(name);
      if (!isPublic.has(name.replace("type ", ""))) isUsable = false;
    }
    return false;
  });
  if (!isUsable || names.size === 0) return "";
  const at = lines.indexOf("```ts") + 1;
  lines.splice(at, 0, `import { ${[...names].join(", ")} } from "./mod.ts";`);
  return lines.join("\n").trim();
}

function tagsOf(jsDoc: JsDoc | undefined, kind: string): NonNullable<JsDoc["tags"]> {
  return jsDoc?.tags?.filter((tag) => tag.kind === kind) ?? [];
}

function paramNames(jsDoc: JsDoc | undefined): string[] {
  return tagsOf(jsDoc, "param").map(({ name }) => name ?? "options");
}

/** Text of a comment, without the marks that only programs read. */
function prose(doc = ""): string {
  return doc.replace(/\{@link (.*?)\}/g, "`$1`").replace(/@default (.+)/g, "Default: $1.").trim();
}

function code(text: string): string {
  return `\`\`\`ts\n${text}\n\`\`\`\n`;
}
