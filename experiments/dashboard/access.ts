/**
 * Who may ask the dashboard for what: host names (against DNS rebinding), methods, the token, and the origin of writes.
 * All of it looks at a request's head alone. Left out: which run a path names (`run_folder.ts`).
 */

import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "crypto";

/** What one dashboard lets in. */
export interface Access {
  /** Names that the `Host` header may hold, in lower case and without a port. */
  hosts: ReadonlySet<string>;
  /** What every request must bring; undefined on loopback, where none is asked for. */
  token: string | undefined;
  /** Whether tags, notes and the archive may be changed. */
  writable: boolean;
}

/** A request that is turned away, or cannot be answered: a status of HTTP and a sentence for whoever asked. */
export class Refusal extends Error {
  /**
   * @param status status of HTTP, 400 to 499
   * @param message one sentence
   * @param headers what the answer must carry besides
   */
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** Name of the cookie that holds the token in a browser. Cookies know no ports, so the name does. */
function cookieName(url: URL): string {
  return `chatgot_token_${url.port || "80"}`;
}

/**
 * The host names of a dashboard that listens on this address. An address of one interface answers to itself; one that
 * stands for all interfaces also to this machine's name and to each literal address, which no other name can fake.
 *
 * @param host the address listened on
 * @param hostname this machine's name, where it is known
 */
export function hostNames(host: string, hostname: string | null): Set<string> {
  const loopback = ["127.0.0.1", "localhost", "[::1]"];
  const own = host.includes(":") ? `[${host.toLowerCase()}]` : host.toLowerCase();
  if (loopback.includes(own)) return new Set(loopback);
  if (!isWildcard(host)) return new Set([own]);
  const names = hostname === null ? [] : [hostname.toLowerCase(), `${hostname.toLowerCase()}.local`];
  return new Set([...loopback, ...names, ANY_ADDRESS]);
}

/** In a set of host names: every literal IP address. */
const ANY_ADDRESS = "*";

/** Whether an address stands for all interfaces. */
export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** Whether only this machine reaches an address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Throws `Refusal` unless the request may pass; writes must besides come from the dashboard's own page. */
export function checkAccess(request: Request, access: Access): void {
  checkHost(request, access.hosts);
  if (!["GET", "HEAD", "POST"].includes(request.method)) {
    throw new Refusal(405, "only GET, HEAD and POST are known here", { allow: "GET, HEAD, POST" });
  }
  checkToken(request, access.token);
  if (request.method === "POST") checkWrite(request, access.writable);
}

/** A page of another name that resolves to this machine (DNS rebinding) betrays itself by its `Host` header. */
function checkHost(request: Request, hosts: ReadonlySet<string>): void {
  const isKnown = (host: string | null) => {
    const name = hostOf(host);
    return name !== undefined && (hosts.has(name) || hosts.has(ANY_ADDRESS) && isAddress(name));
  };
  // A request line may hold a whole address, which counts more than the header (RFC 9112, section 3.2.2).
  if (!isKnown(request.headers.get("host")) || !isKnown(new URL(request.url).host)) {
    throw new Refusal(421, "this dashboard does not answer to that host name");
  }
}

/** The name in a `Host` header, in lower case, without the port; undefined if it is none. */
function hostOf(header: string | null): string | undefined {
  const match = /^([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.exec(header ?? "");
  return match?.[1]?.toLowerCase();
}

function isAddress(name: string): boolean {
  return name.startsWith("[") || /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
}

function checkToken(request: Request, token: string | undefined): void {
  if (token === undefined) return;
  const url = new URL(request.url);
  const given = [
    /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1],
    cookie(request.headers.get("cookie") ?? "", cookieName(url)),
    url.searchParams.get("token"),
  ];
  if (given.some((text) => typeof text === "string" && isSame(text, token))) return;
  throw new Refusal(401, "a token is needed: open the address that was printed when the dashboard started", {
    "www-authenticate": "Bearer",
  });
}

/** Compares without telling by the time taken how much agrees. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function cookie(header: string, name: string): string | undefined {
  const pair = header.split(/;\s*/).find((part) => part.startsWith(`${name}=`));
  return pair?.slice(name.length + 1);
}

/**
 * Where a browser asked for a page with the token in its address: the answer that keeps the token in a cookie, which no
 * script can read, and sends the browser to the address without it. Otherwise undefined.
 */
export function withoutToken(request: Request, access: Access): Response | undefined {
  const url = new URL(request.url);
  const token = access.token !== undefined && url.searchParams.get("token");
  if (!token || request.method !== "GET" || url.pathname.startsWith("/api/")) return undefined;
  url.searchParams.delete("token");
  return new Response(null, {
    status: 303,
    headers: {
      location: url.pathname.replace(/^\/+/, "/") + url.search,
      "set-cookie": `${cookieName(url)}=${token}; Path=/; HttpOnly; SameSite=Lax`,
    },
  });
}

/** A write needs the flag, a page of the dashboard as its origin, and a body that no form can send. */
function checkWrite(request: Request, writable: boolean): void {
  if (!writable) throw new Refusal(403, "this dashboard only reads; start it with --write to change runs");
  const origin = request.headers.get("origin");
  if (origin === null || origin !== `http://${request.headers.get("host")}`) {
    throw new Refusal(403, "changes are taken only from the dashboard's own page");
  }
  if (!/^application\/json\b/.test(request.headers.get("content-type") ?? "")) {
    throw new Refusal(415, "changes are sent as JSON");
  }
}
