/** Runs side by side: their curves in one chart, or as mean and spread over seeds; what differs; a sweep at a glance. */
// @ts-check

import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { Chart, Swatch } from "./chart.js";
import { ConfigDifferences } from "./config_differences.js";
import { curveChoice, CurveControls, curveQuery } from "./curve_controls.js";
import * as format from "./format.js";
import { metricNames, MetricSelect, usualMetric } from "./metric_names.js";
import { lookOf } from "./palette.js";
import { Check, Failure, RunLink, shortened, State } from "./parts.js";
import { setQuery, useAddress, withQuery } from "./router.js";
import { useAnswer, useNews } from "./server.js";
import { Sweep } from "./sweep.js";
import { useTheme } from "./theme.js";

/** @typedef {import("../api_types.ts").ComparedRun} ComparedRun */
/** @typedef {import("../api_types.ts").Series} Series */
/** @typedef {import("../api_types.ts").SpreadSeries} SpreadSeries */

const PARTS =
  /** @type {[string, string][]} */ ([["", "curves"], ["config", "what differs"], ["sweep", "sweep"]]);

/** The view. */
export function CompareView() {
  const { searchParams: query } = useAddress();
  const ids = query.getAll("run");
  const { version } = useNews({ runs: ids });
  const chosen = new URLSearchParams(ids.map((id) => ["run", id]));
  /** @type {{answer: ComparedRun[] | undefined, error: string | undefined}} */
  const { answer: runs, error } = useAnswer(ids.length === 0 ? undefined : `/api/compare?${chosen}`, version);
  useEffect(() => {
    document.title = `${ids.length} runs compared · ChatGoT`;
  }, [ids.length]);
  if (ids.length === 0) {
    return html`
      <div class="view">
        <h1>Compare</h1>
        <p class="empty">Choose runs in the <a href="/">table</a>, then press Compare.</p>
      </div>
    `;
  }
  const part = query.get("part") ?? "";
  return html`<div class="view compare">
    <h1 class="hidden">${ids.length} runs compared</h1>
    <nav class="parts" aria-label="Ways to compare">${
    PARTS.map(([name, text]) =>
      html`<a key=${name} href=${withQuery({ part: name })} aria-current=${
        name === part ? "page" : undefined
      }>${text}</a>`
    )
  }</nav>
    <${Failure} message=${error} />
    ${body(ids, runs, part, version)}
  </div>`;
}

/**
 * @param {string[]} ids
 * @param {ComparedRun[] | undefined} runs undefined until they are there
 * @param {string} part
 * @param {number} version
 */
function body(ids, runs, part, version) {
  if (part === "") return html`<${Curves} ids=${ids} runs=${runs} version=${version} />`;
  if (runs === undefined) return "";
  if (part === "config") return html`<${ConfigDifferences} runs=${runs} />`;
  if (part === "sweep") return html`<${Sweep} runs=${runs} />`;
  return null;
}

/**
 * The curves of one metric. They are asked for along with the runs and not after them, which halves the wait.
 *
 * @param {{ids: string[], runs: ComparedRun[] | undefined, version: number}} props
 */
function Curves({ ids, runs = [], version }) {
  const { searchParams: query } = useAddress();
  useTheme();
  const choice = curveChoice(query);
  const names = metricNames(runs);
  const wanted = query.get("metric") ?? "val_loss";
  const metric = names.length === 0 || names.includes(wanted) ? wanted : usualMetric(names);
  const isSpread = query.has("spread");
  const hidden = query.getAll("hide");
  const asked = curveQuery(choice);
  for (const id of ids) asked.append("run", id);
  asked.append("metric", metric);
  asked.set("buckets", String(Math.round(Math.min(300, Math.max(50, 4000 / ids.length)))));
  if (!isSpread && choice.smoothing > 0 && ids.length <= 4) asked.set("raw", "1");
  const address = `/api/${isSpread ? "spread" : "series"}?${asked}`;
  /** @type {{answer: {series: any[]} | undefined, error: string | undefined, isStale: boolean}} */
  const { answer, error } = useAnswer(address, version);
  // An answer of the other kind may still be there while the new one is on its way.
  const fitting = (answer?.series ?? []).filter((series) => isSpread === "mean" in series);
  const lines = isSpread
    ? fitting.map(spreadLine)
    : runLines(ids, runs, fitting).filter(({ id }) => !hidden.includes(id));
  return html`
    <${CurveControls} choice=${choice} hasFlops=${runs.every((run) => run.has_flops)}>
      <${MetricSelect} names=${names} value=${metric} />
      <${Check} checked=${isSpread} onChange=${(/** @type {boolean} */ on) =>
        setQuery({ spread: on })}>mean over seeds<//>
    <//>
    <${Failure} message=${error} />
    <${Chart} title=${metric.replaceAll("_", " ")} lines=${lines} height=${380}
      options=${{ x: choice.x, logX: choice.logX, logY: choice.logY }} />
    ${isSpread
      ? html`<${Groups} groups=${fitting} />`
      : html`<${RunsTable} runs=${runs} metric=${metric} hidden=${hidden} />`}
  `;
}

/** @param {string[]} ids @param {ComparedRun[]} runs @param {Series[]} series */
function runLines(ids, runs, series) {
  return series.flatMap(({ run, x, y, raw, best }) => {
    const { colour, dash } = lookOf(Math.max(0, ids.indexOf(run)));
    const line = { id: run, label: runs.find(({ id }) => id === run)?.name ?? run, x, y, colour, dash, best };
    return raw === undefined ? [line] : [{ ...line, ...raw, dash: [], best: null, isFaint: true }, line];
  });
}

/** @param {SpreadSeries} series @param {number} index @returns {import("./plot.js").Line & {id: string}} */
function spreadLine({ label, runs, x, mean, low, high }, index) {
  const { colour, dash } = lookOf(index);
  return {
    id: runs.join(),
    label: `${label} (${runs.length})`,
    x,
    y: mean,
    colour,
    dash,
    band: { low, high },
  };
}

/** @param {{runs: ComparedRun[], metric: string, hidden: string[]}} props */
function RunsTable({ runs, metric, hidden }) {
  return html`
    <div class="scroll">
      <table class="runs">
        <thead>
          <tr>
            <th class="pick"><span class="hidden">Shown</span></th>
            <th scope="col" class="name">Run</th>
            <th scope="col">State</th>
            <th scope="col" class="number">last</th>
            <th scope="col" class="number">least</th>
            <th scope="col" class="number">at step</th>
            <th scope="col" class="number">largest</th>
            <th><span class="hidden">Remove</span></th>
          </tr>
        </thead>
        <tbody>${runs.map((run, index) => {
          const found = run.metrics.find(({ name }) => name === metric);
          const isHidden = hidden.includes(run.id);
          const { colour, dash } = lookOf(index);
          return html`
            <tr key=${run.id}>
              <td class="pick"><input type="checkbox" checked=${!isHidden} aria-label=${`show ${
                shortened(run.name)
              }`}
                      onChange=${() =>
                        setQuery({
                          hide: isHidden ? hidden.filter((id) => id !== run.id) : [...hidden, run.id],
                        })} /></td>
              <th scope="row"
                class="name"><${Swatch} line=${{ colour, dash }} /><${RunLink} id=${run.id} name=${run
                  .name} /><span class="id">${shortened(run.id)}</span></th>
              <td>
                <${State} state=${run.state} />
              </td>
              <td class="number">${format.number(found?.last ?? null)}</td>
              <td class="number">${format.number(found?.min ?? null)}</td>
              <td class="number">${format.number(found?.min_step ?? null)}</td>
              <td class="number">${format.number(found?.max ?? null)}</td>
              <td><button type="button" class="plain" aria-label=${`take ${shortened(run.name)} out`}
                      onClick=${() =>
                        setQuery({
                          run: runs.filter(({ id }) => id !== run.id).map(({ id }) => id),
                        })}>×</button></td>
            </tr>
          `;
        })}</tbody>
      </table>
    </div>
  `;
}

/** @param {{groups: SpreadSeries[]}} props */
function Groups({ groups }) {
  return html`
    <p
      class="note">A line is the mean of runs that differ in nothing but their seed, its band one standard deviation to either side.</p>
    <ul class="groups">${groups.map(({ label, runs }) =>
      html`<li key=${runs.join()}><b>${shortened(label)}</b> ${
        runs.map((id) =>
          html`
            <${RunLink} key=${id} id=${id} />
          `
        )
      }</li>`
    )}</ul>
  `;
}
