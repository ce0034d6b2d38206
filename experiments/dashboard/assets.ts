/**
 * The page as a browser is given it: one HTML document for every view, its modules and style, and the policy that keeps
 * anything else from running. All of it is text inside the program, so nothing comes over a network or from the disk.
 */

import { createHash } from "crypto";
import { INDEX, LIBRARIES, PAGE_FILES } from "./page_files.ts";

/** A file that a browser is given. */
export interface Asset {
  /** Its media type. */
  type: string;
  text: string;
  /** Changes with the content. */
  etag: string;
}

/** Media types by the ending of a name. */
const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

/** Where the page's import map stands in the document; browsers want it inline. */
const MAP_MARK = "<!-- import map -->";

/** Stands for the content of all files, and in the addresses that the document names: what is there never changes. */
const VERSIONED = `/assets/${digest(JSON.stringify([PAGE_FILES, LIBRARIES]))}/`;

const importMap = JSON.stringify({
  imports: Object.fromEntries(
    Object.keys(LIBRARIES).map((name) => [name, `${VERSIONED}lib/${fileName(name)}`]),
  ),
});

/** All modules are asked for at once, instead of each when another that imports it has come. */
const preloads = [
  ...Object.keys(PAGE_FILES).filter((name) => name.endsWith(".js")).map((name) => `${VERSIONED}${name}`),
  ...Object.keys(LIBRARIES).map((name) => `${VERSIONED}lib/${fileName(name)}`),
].map((address) => `<link rel="modulepreload" href="${address}">`);

/** The document of every view. */
export const DOCUMENT: Asset = asset(
  "index.html",
  INDEX.replaceAll('"/assets/', `"${VERSIONED}`)
    .replace(MAP_MARK, `<script type="importmap">${importMap}</script>\n${preloads.join("\n")}`),
);

/** The page's files by their path. */
export const ASSETS: ReadonlyMap<string, Asset> = new Map([
  ...Object.entries(PAGE_FILES).map(([name, text]) => [`/assets/${name}`, asset(name, text)] as const),
  ...Object.entries(LIBRARIES).map(([name, text]) => {
    const file = fileName(name);
    return [`/assets/lib/${file}`, asset(file, text)] as const;
  }),
]);

/**
 * The policy of every answer (Content Security Policy, W3C): scripts and styles are the page's own files and the import
 * map, by its digest; nothing is embedded, framed or sent elsewhere; and text can't become markup (Trusted Types).
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `script-src 'self' 'sha256-${createHash("sha256").update(importMap).digest("base64")}'`,
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** `preact/hooks` as `preact-hooks.js`. */
function fileName(library: string): string {
  return `${library.replaceAll("/", "-")}.js`;
}

function asset(name: string, text: string): Asset {
  const type = TYPES[name.slice(name.lastIndexOf(".") + 1)]!;
  return { type, text, etag: `"${digest(text)}"` };
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 24);
}

/** The file at an address, and whether something else can ever be there; undefined where there is none. */
export function findAsset(address: string): { asset: Asset; isFixed: boolean } | undefined {
  const isFixed = address.startsWith(VERSIONED);
  const asset = ASSETS.get(isFixed ? `/assets/${address.slice(VERSIONED.length)}` : address);
  return asset && { asset, isFixed };
}
