/** From a request to what answers it. Names in an address are decoded here, once; what follows never sees `%`. */

import { Refusal } from "./access.ts";
import { assetAnswer, jsonAnswer } from "./answers.ts";
import type { Api } from "./api.ts";
import { fileAnswer } from "./artifacts.ts";
import { DOCUMENT, findAsset } from "./assets.ts";
import { experimentFolder } from "./experiments.ts";
import { Query } from "./query.ts";
import { runFile, runFolder } from "./run_paths.ts";

/** Addresses that are a view of the page; which one, the page itself sees. `*` is any one name. */
const VIEWS = [[], ["compare"], ["runs", "*"], ["experiments"], ["experiments", "*"]];

/** Answers a request that may pass. Throws `Refusal`, among others 404 for an address that there is not. */
export async function route(request: Request, api: Api): Promise<Response> {
  const url = new URL(request.url);
  const names = decoded(url.pathname);
  const isChange = names.length === 3 && names[0] === "api" && names[1] === "runs";
  if (request.method === "POST" && !isChange) {
    throw new Refusal(405, "nothing can be changed at this address", { allow: "GET, HEAD" });
  }
  const found = findAsset(url.pathname);
  if (found !== undefined) return assetAnswer(found.asset, request, found.isFixed);
  if (names[0] === "api") return await apiAnswer(request, names.slice(1), new Query(url.searchParams), api);
  const isView = VIEWS.some((view) =>
    view.length === names.length && view.every((name, i) => name === "*" || name === names[i])
  );
  if (isView) return assetAnswer(DOCUMENT, request);
  throw new Refusal(404, "there is nothing at this address");
}

async function apiAnswer(request: Request, names: string[], query: Query, api: Api): Promise<Response> {
  const [what, id, part, ...rest] = names;
  if (id === undefined) {
    switch (what) {
      case "about":
        return jsonAnswer(api.about());
      case "runs":
        return jsonAnswer(await api.runs(query));
      case "compare":
        return jsonAnswer(await api.compare(query));
      case "experiments":
        return jsonAnswer(await api.experiments());
      case "series":
        return jsonAnswer(await api.series(query));
      case "spread":
        return jsonAnswer(await api.spread(query));
      case "live":
        return new Response(await api.live(query), {
          headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
        });
    }
  } else if (what === "runs") {
    if (part === undefined) {
      return jsonAnswer(request.method === "POST" ? await api.change(id, request) : await api.run(id));
    }
    if (part === "samples" && rest.length === 0) return jsonAnswer(await api.samples(id));
    if (part === "artifacts" && rest.length > 0) {
      const folder = await runFile(await runFolder(api.runsDir, id), "artifacts");
      return await fileAnswer(folder, rest, request);
    }
  }
  if (what === "experiments" && id !== undefined) {
    if (part === undefined) return jsonAnswer(await api.experiment(id));
    if (part === "files" && rest.length > 0) {
      return await fileAnswer(await experimentFolder(api.runsDir, id), rest, request);
    }
  }
  throw new Refusal(404, "there is nothing at this address");
}

/** The names between the slashes of a path. Throws `Refusal` (400) where `%` is not followed by what it must be. */
function decoded(pathname: string): string[] {
  try {
    return pathname.split("/").slice(1).map(decodeURIComponent).filter((name, i, all) =>
      name !== "" || i < all.length - 1
    );
  } catch {
    throw new Refusal(400, "the address is not UTF-8 in percent-encoding");
  }
}
