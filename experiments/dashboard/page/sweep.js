/** A sweep at a glance: what differs between its runs and what came of it, as parallel coordinates and as a ranking. */
// @ts-check

import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { differingKeys } from "./differences.js";
import * as format from "./format.js";
import { isMoreBetter, metricNames, MetricSelect, usualMetric } from "./metric_names.js";
import { ParallelCoordinates } from "./parallel.js";
import { RunLink, shortened } from "./parts.js";
import { useAddress } from "./router.js";

/** @typedef {import("../api_types.ts").ComparedRun} ComparedRun */

/** More axes than this cannot be read. */
const MAX_AXES = 10;
/** More lines of the ranking than this are not shown. */
const MAX_RANKED = 100;

/** @param {{runs: ComparedRun[]}} props */
export function Sweep({ runs }) {
  const { searchParams: query } = useAddress();
  const [over, setOver] = useState(/** @type {string | undefined} */ (undefined));
  const names = metricNames(runs);
  const metric = names.find((name) => name === query.get("metric")) ?? usualMetric(names);
  const extreme = isMoreBetter(metric) ? "max" : "min";
  const keys = differingKeys(runs.map(({ config }) => config)).slice(0, MAX_AXES);
  const results = new Map(
    runs.map((run) => [run.id, run.metrics.find(({ name }) => name === metric)?.[extreme] ?? null]),
  );
  const result = (/** @type {ComparedRun} */ { id }) => results.get(id) ?? null;
  const sign = extreme === "min" ? 1 : -1;
  const ranked = runs.filter((run) => result(run) !== null)
    .sort((a, b) => sign * (Number(result(a)) - Number(result(b))));
  const axes = [
    ...keys.map((key) => ({ title: key, values: new Map(runs.map(({ id, config }) => [id, config[key]])) })),
    { title: metric, values: results },
  ];
  return html`
    <div class="toolbar">
      <${MetricSelect} names=${names} value=${metric} />
      <span>${extreme === "min" ? "least" : "largest"} value of each run</span>
      <span aria-hidden="true">${shortened(runs.find(({ id }) => id === over)?.name ?? "")}</span>
    </div>
    <${ParallelCoordinates} runs=${runs} axes=${axes} isLessBetter=${extreme ===
      "min"} over=${over} onOver=${setOver} />
    <div class="scroll">
      <table class="runs">
        <thead>
          <tr>
        <th scope="col" class="number">rank</th>
        <th scope="col" class="name">Run</th>
        <th scope="col" class="number">${shortened(metric, 40)}</th>
        ${keys.map((key) =>
          html`<th scope="col" class="number" key=${key} title=${key}>${lastPart(key)}</th>`
        )}
      </tr>
        </thead>
        <tbody>${ranked.slice(0, MAX_RANKED).map((run, i) =>
          html`
            <tr key=${run.id} class=${over === run.id ? "picked" : ""}
              onMouseEnter=${() => setOver(run.id)} onMouseLeave=${() => setOver(undefined)}>
                    <td class="number">${i + 1}</td>
                    <th scope="row" class="name"><${RunLink} id=${run.id} name=${run.name} /></th>
                    <td class="number">${format.number(result(run))}</td>
                    ${keys.map((key) =>
                      html`<td class="number" key=${key}>${shortened(written(run.config[key]), 40)}</td>`
                    )}
                  </tr>
          `
        )}</tbody>
      </table>
    </div>
  `;
}

/** The last part of a dotted key, for where there is little room. @param {string} key */
export function lastPart(key) {
  return shortened(key.slice(key.lastIndexOf(".") + 1).replaceAll("_", " "), 24);
}

/** @param {unknown} value */
function written(value) {
  return typeof value === "number" ? format.number(value) : format.value(value);
}
