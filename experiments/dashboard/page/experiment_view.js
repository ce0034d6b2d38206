/** Experiments. */
// @ts-check

import { html } from "htm/preact";

/** The view. */
export function ExperimentView() {
  return html`
    <div class="view">
      <h1>Experiments</h1>
      <p class="empty">No experiments.</p>
    </div>
  `;
}
