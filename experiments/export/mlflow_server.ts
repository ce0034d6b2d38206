/** Requests to an MLflow server: JSON there, JSON back, and what can go wrong on the way. */

import { UserError } from "../../common/mod.ts";

/** How long one request may take. */
const TIMEOUT_MS = 60_000;

type Json = Record<string, unknown>;

/** A server at an address. */
export class MlflowServer {
  readonly #base: URL;

  /** @throws UserError if the address is none of a server */
  constructor(address: string) {
    const base = URL.canParse(address) ? new URL(address) : undefined;
    if (base === undefined || !/^https?:$/.test(base.protocol)) {
      throw new UserError(`--to ${address.slice(0, 200)} is no address of a server`, {
        hint: "for example: --to http://127.0.0.1:5000",
      });
    }
    // Permission for this machine is given by its number.
    if (base.hostname === "localhost") base.hostname = "127.0.0.1";
    this.#base = base;
  }

  /** Asks for something; undefined if there is no such thing. Throws `UserError` for every other failure. */
  async get(path: string, query: Record<string, string>): Promise<Json | undefined> {
    const url = this.#url(path);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
    const { status, body } = await this.#fetch(url, {});
    if (status === 404 && body.error_code === "RESOURCE_DOES_NOT_EXIST") return undefined;
    return this.#checked(path, status, body);
  }

  /** Sends something. Throws `UserError` if it is refused. */
  async post(path: string, json: Json): Promise<Json> {
    const { status, body } = await this.#fetch(this.#url(path), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(json),
    });
    return this.#checked(path, status, body);
  }

  #url(path: string): URL {
    const url = new URL(this.#base);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/2.0/mlflow/${path}`;
    return url;
  }

  async #fetch(url: URL, init: RequestInit): Promise<{ status: number; body: Json }> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
      text = await response.text();
    } catch (error) {
      throw this.#unreachable(error);
    }
    try {
      return { status: response.status, body: JSON.parse(text) as Json };
    } catch {
      return { status: response.status, body: { message: text.slice(0, 200) } };
    }
  }

  #unreachable(error: unknown): UserError {
    const { host, port } = this.#base;
    if (error instanceof Deno.errors.NotCapable) {
      return new UserError(`Deno was not allowed to reach ${host}`, {
        hint:
          `make a tunnel, as by \`ssh -L 5000:${this.#base.hostname}:${port || 80} <machine>\`, and give ` +
          `--to http://127.0.0.1:5000; or run \`deno run --allow-read --allow-env --allow-sys=hostname --allow-net=${host} mod.ts runs export …\``,
        cause: error,
      });
    }
    const why = error instanceof DOMException && error.name === "TimeoutError"
      ? `it did not answer within ${TIMEOUT_MS / 1000} s`
      : error instanceof Error
      ? error.message
      : String(error);
    return new UserError(`the MLflow server at ${host} cannot be reached: ${why}`, {
      hint: "is it running, and is this its address? `mlflow server --port 5000` starts one",
      cause: error,
    });
  }

  #checked(path: string, status: number, body: Json): Json {
    if (status >= 200 && status < 300) return body;
    const said = typeof body.message === "string" ? body.message.slice(0, 500) : "";
    throw new UserError(
      `the MLflow server refused ${path} (${status}): ${body.error_code ?? ""} ${said}`.trim(),
      {
        hint: "what was sent before stays there",
      },
    );
  }
}
