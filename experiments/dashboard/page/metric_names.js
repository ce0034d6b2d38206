/** Which metrics there are to compare, which way they are good, and the choice among them. */
// @ts-check

import { html } from "htm/preact";
import { shortened } from "./parts.js";
import { setQuery } from "./router.js";

/** Every metric that some run has. @param {import("../api_types.ts").ComparedRun[]} runs */
export function metricNames(runs) {
  return [...new Set(runs.flatMap((run) => run.metrics.map(({ name }) => name)))].sort();
}

/** The metric that one most likely wants to see. @param {string[]} names */
export function usualMetric(names) {
  return ["val_loss", "train_loss"].find((name) => names.includes(name)) ?? names[0] ?? "";
}

/** Whether more of a metric is better; of what is not known less is, as of losses. @param {string} name */
export function isMoreBetter(name) {
  return /accuracy|per_second|mfu|score/.test(name);
}

/** The choice of a metric, which stands in the address. @param {{names: string[], value: string}} props */
export function MetricSelect({ names, value }) {
  const choose = (/** @type {Event & {currentTarget: HTMLSelectElement}} */ event) =>
    setQuery({ metric: event.currentTarget.value });
  return html`<label class="select">metric <select value=${value} onChange=${choose}>${
    names.map((name) => html`<option key=${name} value=${name}>${shortened(name, 60)}</option>`)
  }</select></label>`;
}
