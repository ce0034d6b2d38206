/** What differs between the configurations of runs, key by key. */
// @ts-check

import { html } from "htm/preact";
import { differingKeys } from "./differences.js";
import * as format from "./format.js";
import { Check, RunLink, shortened } from "./parts.js";
import { setQuery, useAddress } from "./router.js";

/** @param {{runs: import("../api_types.ts").ComparedRun[]}} props */
export function ConfigDifferences({ runs }) {
  const { searchParams: query } = useAddress();
  const isAll = query.has("all");
  const differing = differingKeys(runs.map(({ config }) => config));
  const keys = isAll ? [...new Set(runs.flatMap(({ config }) => Object.keys(config)))].sort() : differing;
  return html`<div class="toolbar"><span>${differing.length} keys differ</span>
      <${Check} checked=${isAll} onChange=${(/** @type {boolean} */ on) =>
    setQuery({ all: on })}>show all<//></div>
    <div class="scroll" role="region" aria-label="Configurations" tabindex="0"><table class="runs">
    <thead><tr><th scope="col" class="name">key</th>${
    runs.map(({ id, name }) =>
      html`
        <th scope="col" key=${id}>
          <${RunLink} id=${id} name=${shortened(name, 30)} />
        </th>
      `
    )
  }</tr></thead>
    <tbody>${
    keys.map((key) =>
      html`<tr key=${key} class=${
        isAll && differing.includes(key) ? "picked" : ""
      }><th scope="row" class="name">${shortened(key)}</th>${
        runs.map(({ id, config }) => html`<td key=${id}>${shortened(format.value(config[key]))}</td>`)
      }</tr>`
    )
  }</tbody></table></div>
    ${keys.length === 0 ? html`<p class="empty">The configurations are the same.</p>` : ""}`;
}
