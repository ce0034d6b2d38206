/** Answers of the dashboard: JSON, assets, refusals, and the headers that each of them carries. */

import { type Asset, CONTENT_SECURITY_POLICY } from "./assets.ts";
import type { Refusal } from "./access.ts";

/** What every answer carries: nothing of it is guessed at, framed, read by another site or told to one. */
const HEADERS: Record<string, string> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** Adds to an answer the headers that it lacks of those that all carry. */
export function secured(answer: Response): Response {
  for (const [name, value] of Object.entries(HEADERS)) {
    if (!answer.headers.has(name)) answer.headers.set(name, value);
  }
  return answer;
}

/** A value as JSON that no cache keeps. NaN and Infinity, which JSON lacks, become null. */
export function jsonAnswer(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store", ...headers },
  });
}

/**
 * One of the page's own files. Browsers ask again each time and are told when they have it.
 *
 * @param isFixed whether its address stands for its content: then browsers need not ask again
 */
export function assetAnswer(asset: Asset, request: Request, isFixed = false): Response {
  const cache = isFixed ? "max-age=31536000, immutable" : "no-cache";
  const headers = { "content-type": asset.type, "cache-control": cache, etag: asset.etag };
  if (request.headers.get("if-none-match") === asset.etag) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(asset.text, { headers });
}

/** What a refusal tells: `{error: {message}}`. */
export function refusalAnswer({ status, message, headers }: Refusal): Response {
  return jsonAnswer({ error: { message } }, status, headers);
}
