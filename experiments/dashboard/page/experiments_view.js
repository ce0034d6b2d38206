/** The list of experiments. */
// @ts-check

import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import * as format from "./format.js";
import { Failure, shortened, State } from "./parts.js";
import { experimentAddress } from "./router.js";
import { useAnswer, useNews } from "./server.js";

/** The view. */
export function ExperimentsView() {
  const { version } = useNews({ list: true });
  /** @type {{answer: import("../api_types.ts").ExperimentRow[] | undefined, error: string | undefined}} */
  const { answer: experiments, error } = useAnswer("/api/experiments", version);
  useEffect(() => {
    document.title = "Experiments · ChatGoT";
  }, []);
  return html`
    <div class="view">
      <h1 class="hidden">Experiments</h1>
      <${Failure} message=${error} />
      ${experiments === undefined
        ? ""
        : experiments.length === 0
        ? html`<${None} />`
        : html`<${List} experiments=${experiments} />`}
    </div>
  `;
}

function None() {
  return html`
    <p
      class="empty">No experiments here. <code>chatgot experiment</code> runs one; runs that name the same parent are one, too.</p>
  `;
}

/** @param {{experiments: import("../api_types.ts").ExperimentRow[]}} props */
function List({ experiments }) {
  return html`
    <div class="scroll">
      <table class="runs">
        <thead>
          <tr>
            <th scope="col" class="name">Experiment</th>
            <th scope="col">state</th>
            <th scope="col">created</th>
            <th scope="col" class="number">duration</th>
            <th scope="col" class="number">runs done</th>
          </tr>
        </thead>
        <tbody>${experiments.map(({ id, name, status, created, ended, done, runs }) =>
          html`
            <tr key=${id}>
              <th scope="row" class="name"><a href=${experimentAddress(id)} title=${id}>${shortened(
                name,
              )}</a>${name === id ? "" : html`<span class="id">${shortened(id)}</span>`}</th>
              <td>
                <${State} state=${status} />
              </td>
              <td>${format.time(created)}</td>
              <td class="number">${format.duration(
                (Date.parse(ended ?? "") - Date.parse(created ?? "")) / 1000,
              )}</td>
              <td class="number">${done} / ${runs}</td>
            </tr>
          `
        )}</tbody>
      </table>
    </div>
  `;
}
