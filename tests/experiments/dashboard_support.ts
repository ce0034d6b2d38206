/** What the dashboard's tests share: one over a folder of its own, and requests as raw bytes, such as no browser sends. */

import { join } from "path";
import { type DashboardOptions, serveDashboard } from "../../experiments/mod.ts";

/** A dashboard under test. */
export interface Served {
  /** The runs' folder, inside a temporary one with nothing else of value. */
  runs: string;
  /** Above the runs' folder: what must never be given. */
  outside: string;
  /** Where it listens, such as `http://127.0.0.1:41234`. */
  origin: string;
  port: number;
  /** Asks for JSON. */
  // deno-lint-ignore no-explicit-any -- each test says what it expects
  ask: (path: string) => Promise<{ status: number; answer: any }>;
}

/** Runs a test with a dashboard over an empty folder of runs; all is removed afterwards. */
export async function withDashboard(
  test: (served: Served) => Promise<void>,
  options: Partial<DashboardOptions> = {},
): Promise<void> {
  const outside = await Deno.realPath(await Deno.makeTempDir());
  const runs = join(outside, "runs");
  await Deno.mkdir(runs);
  const dashboard = serveDashboard({ port: 0, ...options, runsDir: runs });
  const { origin, port } = new URL(dashboard.url);
  const ask = async (path: string) => {
    const response = await fetch(`${origin}${path}`);
    return { status: response.status, answer: await response.json() };
  };
  try {
    await test({ runs, outside, origin, port: Number(port), ask });
  } finally {
    await dashboard.close();
    await Deno.remove(outside, { recursive: true });
  }
}

/** What came back from a raw request. */
export interface RawAnswer {
  status: number;
  /** By name in lower case. */
  headers: Record<string, string>;
  body: string;
}

/**
 * Sends a request byte by byte, since `fetch` tidies paths and owns headers such as `Host`.
 *
 * @param head the first line without its version, such as `GET /`, and then headers
 */
export async function raw(
  port: number,
  head: string,
  headers: Record<string, string> = {},
  body = "",
): Promise<RawAnswer> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const sent = { host: `127.0.0.1:${port}`, connection: "close", ...headers };
  const lines = Object.entries(sent).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const length = body === "" ? "" : `content-length: ${new TextEncoder().encode(body).length}\r\n`;
  const bytes = new TextEncoder().encode(`${head} HTTP/1.1\r\n${lines}${length}\r\n${body}`);
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
  const text = await new Response(connection.readable).text();
  const [top = "", ...rest] = text.split("\r\n\r\n");
  const [first = "", ...fields] = top.split("\r\n");
  return {
    status: Number(first.split(" ")[1]),
    headers: Object.fromEntries(fields.map((line) => {
      const at = line.indexOf(":");
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
    })),
    body: rest.join("\r\n\r\n"),
  };
}

/** A run as another program might have left it: files by name, JSON Lines as lists. */
export async function placeRun(
  runs: string,
  id: string,
  files: Record<string, string | Record<string, unknown>[] | Record<string, unknown>> = {},
): Promise<string> {
  const dir = join(runs, id);
  await Deno.mkdir(join(dir, "artifacts"), { recursive: true });
  const standard = {
    "run.json": { format_version: 1, id, name: id, status: "completed", created: "2026-11-24T12:00:00.000Z" },
    "metrics.jsonl": [1, 2, 3].map((i) => ({
      step: i * 10,
      tokens: i * 1000,
      train_loss: 4 - i,
      val_loss: 5 - i,
    })),
  };
  for (const [name, content] of Object.entries({ ...standard, ...files })) {
    const text = typeof content === "string"
      ? content
      : Array.isArray(content)
      ? content.map((line) => JSON.stringify(line) + "\n").join("")
      : JSON.stringify(content);
    await Deno.writeTextFile(join(dir, name), text);
  }
  return dir;
}
