/** Parts of a run's page that are lists: its configuration, what happened, and the files that it left. */
// @ts-check

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as format from "./format.js";
import { FileList, shortened } from "./parts.js";

/** @typedef {import("../api_types.ts").RunDetails} RunDetails */

/** The configuration and the rest of `run.json`, to be searched. @param {{run: RunDetails}} props */
export function RunConfig({ run }) {
  const [wanted, setWanted] = useState("");
  const fits = (/** @type {[string, unknown]} */ [key, value]) =>
    `${key} ${format.value(value)}`.toLowerCase().includes(wanted.trim().toLowerCase());
  const record = Object.entries(run.record).filter(([key]) => !["config", "metrics_summary"].includes(key));
  return html`
    <div
      class="toolbar"><label class="filter"><span class="hidden">Find a key</span><input type="search" placeholder="find a key or value"
        value=${wanted} onInput=${(/** @type {Event & {currentTarget: HTMLInputElement}} */ e) =>
          setWanted(e.currentTarget.value)} /></label></div>
    <div class="columns">
      <${Values} title="Configuration" entries=${Object.entries(run.config).filter(fits)} />
      <${Values} title="run.json" entries=${record.filter(fits)} />
    </div>
  `;
}

/** @param {{title: string, entries: [string, unknown][]}} props */
function Values({ title, entries }) {
  return html`<section><h2>${title}</h2><table class="values"><tbody>${
    entries.map(([key, value]) =>
      html`
        <tr key=${key}>
          <th scope="row">${shortened(key)}</th>
          <td>${shortened(format.value(value), 2000)}</td>
        </tr>
      `
    )
  }</tbody></table>${entries.length === 0 ? html`<p class="empty">Nothing.</p>` : ""}</section>`;
}

/** What happened, the newest first; resumptions stand out. @param {{run: RunDetails}} props */
export function RunEvents({ run }) {
  if (run.events.length === 0) return html`<p class="empty">Nothing happened yet.</p>`;
  return html`<ol class="events">${
    run.events.toReversed().map((event, i) => {
      const { type, step, time, ...rest } = event;
      const kind = ["resumed", "not_finite", "interrupted", "checkpoint"].find((known) => known === type) ??
        "other";
      return html`<li key=${run.events.length - i} class=${kind}>
        <span class="time">${format.time(typeof time === "string" ? time : null)}</span>
        <span class="step">${typeof step === "number" ? `step ${format.number(step)}` : ""}</span>
        <b>${shortened(format.value(type).replaceAll("_", " "))}</b>
        <span class="rest">${
        Object.entries(rest).map(([key, value]) =>
          html`<span><i>${shortened(key, 40)}</i> ${shortened(format.value(value), 300)}</span>`
        )
      }</span></li>`;
    })
  }</ol>`;
}

/** Files below `artifacts/`. @param {{run: RunDetails}} props */
export function RunArtifacts({ run }) {
  return html`<${FileList} files=${run.artifacts} address=${`/api/runs/${
    encodeURIComponent(run.id)
  }/artifacts`} />`;
}
