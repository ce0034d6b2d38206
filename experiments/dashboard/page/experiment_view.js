/** One experiment: how its variants stand and compare so far, its curves as mean and spread over seeds, its reports. */
// @ts-check

import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { Chart } from "./chart.js";
import { curveChoice, CurveControls, curveQuery } from "./curve_controls.js";
import * as format from "./format.js";
import { metricNames, MetricSelect, usualMetric } from "./metric_names.js";
import { lookOf } from "./palette.js";
import { Failure, FileList, Problems, shortened, State } from "./parts.js";
import { compareAddress, runAddress, useAddress } from "./router.js";
import { useAnswer, useNews } from "./server.js";
import { meanAndDeviation } from "./statistics.js";
import { useTheme } from "./theme.js";

/** @typedef {import("../api_types.ts").ComparedRun} ComparedRun */
/** @typedef {import("../api_types.ts").ExperimentDetails} ExperimentDetails */
/** @typedef {import("../api_types.ts").ExperimentVariant} ExperimentVariant */

/** @param {{id: string}} props */
export function ExperimentView({ id }) {
  const { searchParams: query } = useAddress();
  const { version } = useNews({ list: true });
  useTheme();
  const address = `/api/experiments/${encodeURIComponent(id)}`;
  /** @type {{answer: ExperimentDetails | undefined, error: string | undefined}} */
  const { answer: experiment, error } = useAnswer(address, version);
  const ids = (experiment?.variants ?? []).flatMap(({ runs }) => runs.flatMap(({ run }) => run ?? [])).slice(
    0,
    200,
  );
  const chosen = new URLSearchParams(ids.map((run) => ["run", run]));
  /** @type {{answer: ComparedRun[] | undefined, error: string | undefined}} */
  const { answer: runs = [] } = useAnswer(ids.length === 0 ? undefined : `/api/compare?${chosen}`, version);
  const names = metricNames(runs);
  const wanted = [query.get("metric"), ...experiment?.metrics ?? []];
  const metric = wanted.find((name) => name !== null && names.includes(name)) ?? usualMetric(names);
  const choice = curveChoice(query);
  const asked = curveQuery(choice);
  for (const run of ids) asked.append("run", run);
  asked.append("metric", metric);
  /** @type {{answer: {series: import("../api_types.ts").SpreadSeries[]} | undefined}} */
  const { answer: spread } = useAnswer(metric === "" ? undefined : `/api/spread?${asked}`, version);
  useEffect(() => {
    document.title = `${shortened(experiment?.name ?? id, 60)} · ChatGoT`;
  }, [experiment?.name]);
  if (experiment === undefined) {
    return html`
      <div class="view">
        <h1>Experiment</h1>
        <${Failure} message=${error} />
      </div>
    `;
  }
  const shown = experiment.metrics.filter((name) => names.includes(name));
  return html`
    <div class="view experiment">
      <${Failure} message=${error} />
      <${Head} experiment=${experiment} ids=${ids} />
      <${Problems} problems=${experiment.problems} />
      <${Variants} experiment=${experiment} runs=${runs} metrics=${shown.length > 0 ? shown : [metric]} />
      <${CurveControls} choice=${choice} hasFlops=${runs.length > 0 && runs.every((run) => run.has_flops)}>
        <${MetricSelect} names=${names} value=${metric} />
        <//>
        <${Chart} title=${metric.replaceAll("_", " ")} lines=${spreadLines(
          spread?.series ?? [],
          experiment,
        )} height=${340}
          options=${{ x: choice.x, logX: choice.logX, logY: choice.logY }} />
        <p
          class="note">A line is the mean over a variant's seeds, its band one standard deviation to either side.</p>
        <h2>Reports</h2>
        <${FileList} files=${experiment.files} address=${`${address}/files`} />
        </div>
  `;
}

/** @param {{experiment: ExperimentDetails, ids: string[]}} props */
function Head({ experiment, ids }) {
  const { id, name, status, created, done, runs, description, files } = experiment;
  const report = files.find(({ path }) => path === "report.html");
  return html`<section class="runhead">
    <div class="line">
      <h1 title=${name}>${shortened(name)}</h1><${State} state=${status} /><span class="spring"></span>
      ${
    report === undefined
      ? ""
      : html`<a class="button" target="_blank" rel="noopener" href=${`/api/experiments/${
        encodeURIComponent(id)
      }/files/report.html`}>Report</a>`
  }
      ${
    ids.length === 0
      ? ""
      : html`<a class="button" href=${`${
        compareAddress(ids)
      }&part=sweep`}>Sweep</a> <a class="button strong" href=${compareAddress(ids)}>Compare runs</a>`
  }
    </div>
    <p class="sub"><code title=${id}>${shortened(id)}</code> · begun ${
    format.time(created)
  } · ${done} of ${runs} runs done</p>
    ${description === "" ? "" : html`<p class="notes">${description}</p>`}
  </section>`;
}

/** @param {{experiment: ExperimentDetails, runs: ComparedRun[], metrics: string[]}} props */
function Variants({ experiment, runs, metrics }) {
  const byId = new Map(runs.map((run) => [run.id, run]));
  const valueOf = (/** @type {string | null} */ run, /** @type {string} */ metric) =>
    byId.get(run ?? "")?.metrics.find(({ name }) => name === metric)?.last ?? null;
  return html`
    <div class="scroll variants" role="region" aria-label="Variants" tabindex="0">
      <table class="runs">
        <thead>
          <tr>
        <th scope="col" class="name">Variant</th>
        ${metrics.map((metric) =>
          html`<th scope="col" class="number" key=${metric}>${
            shortened(metric.replaceAll("_", " "), 40)
          }</th>`
        )}
        <th scope="col">runs by seed</th>
      </tr>
        </thead>
        <tbody>${experiment.variants.map((variant) =>
          html`<tr key=${variant.name}>
        <th scope="row" class="name" title=${valuesOf(variant)}>${shortened(variant.name, 60)}</th>
        ${
            metrics.map((metric) =>
              html`<td class="number" key=${metric}>${
                written(variant.runs.map(({ run }) => valueOf(run, metric)))
              }</td>`
            )
          }
        <td>${
            variant.runs.map(({ seed, status, run, error }) =>
              html`<${Seed} seed=${seed} status=${status} run=${run} error=${error} />`
            )
          }</td>
      </tr>`
        )}</tbody>
      </table>
    </div>
  `;
}

/** @param {import("../api_types.ts").ExperimentRun} props */
function Seed({ seed, status, run, error }) {
  const text = seed === null ? "run" : `seed ${seed}`;
  return html`<span class="seed" title=${error ?? ""}>${
    run === null ? text : html`<a href=${runAddress(run)} title=${run}>${text}</a>`
  } <${State} state=${status} /></span>`;
}

/** @param {ExperimentVariant} variant */
function valuesOf({ values }) {
  return Object.entries(values).map(([key, value]) => `${key}: ${format.value(value)}`).join("\n");
}

/** Mean and deviation of what the runs have. @param {(number | null)[]} values */
function written(values) {
  const known = values.filter((value) => value !== null);
  const { mean, deviation } = meanAndDeviation(known);
  if (mean === null) return "–";
  return html`${format.number(mean)}${
    deviation === null ? "" : html`<small> ± ${format.number(Number(deviation.toPrecision(2)))}</small>`
  }`;
}

/** @param {import("../api_types.ts").SpreadSeries[]} series @param {ExperimentDetails} experiment @returns {import("./plot.js").Line[]} */
function spreadLines(series, experiment) {
  const order = experiment.variants.map(({ runs }) => runs.map(({ run }) => run));
  const indexOf = (/** @type {string} */ id) => order.findIndex((ids) => ids.includes(id));
  return series.map(({ label, runs, x, mean, low, high }) => {
    const index = Math.max(0, indexOf(runs[0] ?? ""));
    const name = experiment.variants[index]?.name ?? label;
    return { label: `${name} (${runs.length})`, x, y: mean, band: { low, high }, index, ...lookOf(index) };
  }).sort((a, b) => a.index - b.index);
}
