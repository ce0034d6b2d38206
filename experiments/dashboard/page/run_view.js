/** The page of one run: what it is and how it stands, and below that one of its parts, which the address names. */
// @ts-check

import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import * as format from "./format.js";
import { Failure, Problems, shortened, State, Tags } from "./parts.js";
import { compareAddress, experimentAddress, useAddress, withQuery } from "./router.js";
import { RunCurves } from "./run_curves.js";
import { RunArtifacts, RunConfig, RunEvents } from "./run_lists.js";
import { RunSamples } from "./run_samples.js";
import { useAnswer, useNews } from "./server.js";
import { RunEditor } from "./run_editor.js";

/** @typedef {import("../api_types.ts").RunDetails} RunDetails */

const PARTS = /** @type {const} */ (["curves", "samples", "system", "events", "config", "artifacts"]);

/** @param {{id: string, writable: boolean}} props */
export function RunView({ id, writable }) {
  const { searchParams: query } = useAddress();
  const { version, isLive } = useNews({ runs: [id] });
  /** @type {{answer: RunDetails | undefined, error: string | undefined}} */
  const { answer: run, error } = useAnswer(`/api/runs/${encodeURIComponent(id)}`, version);
  const part = PARTS.find((known) => known === query.get("part")) ?? "curves";
  useEffect(() => {
    document.title = `${shortened(run?.name ?? id, 60)} · ChatGoT`;
  }, [run?.name]);
  if (run === undefined) {
    return html`
      <div class="view">
        <${Failure} message=${error} />
      </div>
    `;
  }
  return html`<div class="view run">
    <${Failure} message=${error} />
    <${Head} run=${run} isLive=${isLive} />
    <${Problems} problems=${run.problems} />
    ${writable ? html`<${RunEditor} run=${run} />` : ""}
    <nav class="parts" aria-label="Parts of the run">${
    PARTS.map((name) =>
      html`<a key=${name} href=${withQuery({ part: name === "curves" ? undefined : name })} aria-current=${
        name === part ? "page" : undefined
      }>${name}${amount(run, name)}</a>`
    )
  }</nav>
    ${partOf(run, part, version)}
  </div>`;
}

/** @param {RunDetails} run @param {typeof PARTS[number]} part @param {number} version */
function partOf(run, part, version) {
  switch (part) {
    case "curves":
      return html`<${RunCurves} run=${run} stream="metrics" version=${version} />`;
    case "system":
      return html`<${RunCurves} run=${run} stream="system" version=${version} />`;
    case "samples":
      return html`<${RunSamples} run=${run} version=${version} />`;
    case "events":
      return html`<${RunEvents} run=${run} />`;
    case "config":
      return html`<${RunConfig} run=${run} />`;
    case "artifacts":
      return html`<${RunArtifacts} run=${run} />`;
  }
}

/** @param {RunDetails} run @param {string} part */
function amount(run, part) {
  const counts = { samples: run.samples, events: run.events.length, artifacts: run.artifacts.length };
  if (!Object.hasOwn(counts, part)) return "";
  return html`
    <span class="amount">${counts[/** @type {keyof typeof counts} */ (part)]}</span>
  `;
}

/** @param {{run: RunDetails, isLive: boolean}} props */
function Head({ run, isLive }) {
  const { id, name, state, created, ended, tags, notes, parents, children, archived } = run;
  const metric = (/** @type {string} */ which) => run.metrics.find((m) => m.name === which);
  const seconds = (Date.parse(ended ?? lastTime(run) ?? "") - Date.parse(created ?? "")) / 1000;
  return html`<section class="runhead">
    <div class="line"><h1 title=${name}>${shortened(name)}</h1><${State} state=${state} />${
    archived ? html`<span class="tag">archived</span>` : ""
  }<${Tags} tags=${tags} />
      <span class="spring"></span>
      ${state === "running" ? html`<span class=${`live ${isLive ? "on" : ""}`}>live</span>` : ""}
      <a class="button" href=${compareAddress([id, ...children])}>Compare${
    children.length > 0 ? ` with ${children.length} more` : ""
  }</a></div>
    <p class="sub"><code title=${id}>${shortened(id)}</code> · begun ${format.time(created)} · ${
    format.duration(seconds)
  }${
    parents.map((parent) =>
      html`
        · of <a href=${experimentAddress(parent)}>${shortened(parent)}</a>
      `
    )
  }</p>
    ${notes ? html`<p class="notes">${notes}</p>` : ""}
    <dl class="facts">
      ${fact("step", stepOf(run))}
      ${fact("tokens", format.count(run.tokens))}
      ${fact("train loss", format.number(metric("train_loss")?.last ?? null))}
      ${fact("val loss", format.number(metric("val_loss")?.last ?? null))}
      ${fact("best val loss", format.number(metric("val_loss")?.min ?? null), bestAt(metric("val_loss")))}
      ${fact("tokens/s", format.count(metric("tokens_per_second")?.last))}
      ${
    typeof run.record.parameters === "number" ? fact("parameters", format.count(run.record.parameters)) : ""
  }
    </dl>
  </section>`;
}

/** @param {string} term @param {string} text @param {string} [more] */
function fact(term, text, more) {
  return html`
    <div>
      <dt>${term}</dt>
      <dd>${text}${more
        ? html`
          <small>${more}</small>
        `
        : ""}</dd>
    </div>
  `;
}

/** @param {import("../api_types.ts").MetricRow | undefined} metric */
function bestAt(metric) {
  return metric?.min_step === null || metric === undefined
    ? undefined
    : `at ${format.number(metric.min_step)}`;
}

/** @param {RunDetails} run */
function stepOf({ step, config }) {
  const most = config["training.max_steps"];
  return `${format.number(step)}${typeof most === "number" ? ` / ${format.number(most)}` : ""}`;
}

/** @param {RunDetails} run */
function lastTime({ events, last_time }) {
  const time = last_time ?? events.at(-1)?.time;
  return typeof time === "string" ? time : null;
}
