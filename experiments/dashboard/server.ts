/**
 * The dashboard as a server: listens, lets requests pass or turns them away, and answers. Everything it serves comes from
 * the program itself and from one folder of runs.
 */

import { UserError } from "../../common/mod.ts";
import {
  type Access,
  checkAccess,
  hostNames,
  isLoopback,
  isWildcard,
  Refusal,
  withoutToken,
} from "./access.ts";
import { jsonAnswer, refusalAnswer, secured } from "./answers.ts";
import { Api } from "./api.ts";
import { route } from "./routes.ts";

/** How a dashboard is served. */
export interface DashboardOptions {
  /** The folder of runs, absolute; it need not exist yet. */
  runsDir: string;
  /** The address to listen on. @default "127.0.0.1" */
  host?: string;
  /** @default 7070, or another that is free */
  port?: number;
  /** Whether tags, notes and the archive may be changed. @default false */
  write?: boolean;
  /** What every request must bring. @default none on loopback, else a random one */
  token?: string;
}

/** A dashboard that is being served. */
export interface Dashboard {
  /** Where a browser finds it, with the token where one is needed. */
  url: string;
  /** Settles when it has ended. */
  finished: Promise<void>;
  /** Ends it, open streams included. */
  close(): Promise<void>;
}

const USUAL_HOST = "127.0.0.1";
const USUAL_PORT = 7070;

/**
 * Serves the dashboard until it is closed. Throws `UserError` if the address can't be listened on.
 *
 * @example
 * ```ts
 * import { serveDashboard } from "./server.ts";
 * const dashboard = serveDashboard({ runsDir: "/tmp/runs", port: 0 });
 * await fetch(`${dashboard.url}api/about`); // { version: "…", runs_dir: "/tmp/runs", writable: false }
 * await dashboard.close();
 * ```
 */
export function serveDashboard(options: DashboardOptions): Dashboard {
  const { runsDir, host = USUAL_HOST, write = false } = options;
  const token = options.token ?? (isLoopback(host) ? undefined : crypto.randomUUID().replaceAll("-", ""));
  const access: Access = { hosts: hostNames(host, hostname()), token, writable: write };
  const api = new Api(runsDir, write);
  const handle = (request: Request) => answer(request, api, access);
  const server = options.port === undefined
    ? listenOn(host, USUAL_PORT, handle) ?? listen(host, 0, handle)
    : listen(host, options.port, handle);
  const shown = isWildcard(host) ? hostname() ?? USUAL_HOST : host.includes(":") ? `[${host}]` : host;
  const query = token === undefined ? "" : `?token=${encodeURIComponent(token)}`;
  return {
    url: `http://${shown}:${server.addr.port}/${query}`,
    finished: server.finished,
    close: async () => {
      api.news.close();
      await server.shutdown();
    },
  };
}

type Server = Deno.HttpServer<Deno.NetAddr>;
type Handle = (request: Request) => Promise<Response>;

/** As `listen`, but undefined where something else has the port. */
function listenOn(host: string, port: number, handle: Handle): Server | undefined {
  try {
    return Deno.serve({ hostname: host, port, onListen: () => {} }, handle);
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return undefined;
    throw listenError(error, host, port);
  }
}

function listen(host: string, port: number, handle: Handle): Server {
  const server = listenOn(host, port, handle);
  if (server !== undefined) return server;
  throw new UserError(`port ${port} is taken`, {
    hint: "choose another with --port, or 0 for any that is free",
  });
}

function listenError(error: unknown, host: string, port: number): unknown {
  if (error instanceof Deno.errors.NotCapable) {
    return new UserError(`Deno was not allowed to listen on ${host}`, {
      hint:
        `start with: deno run -A mod.ts dashboard --host ${host}, or listen on all interfaces with --host 0.0.0.0`,
    });
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new UserError(`no permission to listen on port ${port}`, { hint: "choose one of at least 1024" });
  }
  if (error instanceof Deno.errors.AddrNotAvailable || error instanceof TypeError || isLookupFailure(error)) {
    return new UserError(`${host} is no address of this machine`, { hint: "--host 0.0.0.0 listens on all" });
  }
  return error;
}

/** What a system says of a name that it can't resolve. */
function isLookupFailure(error: unknown): boolean {
  return error instanceof Error && /lookup address/.test(error.message);
}

/** The whole of an answer, whatever happens on the way to it. */
async function answer(request: Request, api: Api, access: Access): Promise<Response> {
  try {
    checkAccess(request, access);
    return secured(withoutToken(request, access) ?? await route(request, api));
  } catch (error) {
    return secured(failure(error));
  }
}

function failure(error: unknown): Response {
  if (error instanceof Refusal) return refusalAnswer(error);
  if (error instanceof UserError) return jsonAnswer({ error: { message: error.describe() } }, 500);
  console.error(error);
  return jsonAnswer({ error: { message: "the dashboard has a fault; it printed more about it" } }, 500);
}

/** This machine's name, or null where it may not be asked (`--allow-sys=hostname`). */
function hostname(): string | null {
  try {
    return Deno.hostname();
  } catch {
    return null;
  }
}
