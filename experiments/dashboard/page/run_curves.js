/** A run's curves, or those of the machine it runs on, one chart a metric; while it runs they grow. */
// @ts-check

import { html } from "htm/preact";
import { Chart } from "./chart.js";
import { curveChoice, CurveControls, curveQuery } from "./curve_controls.js";
import * as format from "./format.js";
import { lookOf } from "./palette.js";
import { Failure } from "./parts.js";
import { useAddress } from "./router.js";
import { useAnswer } from "./server.js";
import { useTheme } from "./theme.js";

/** @typedef {import("../api_types.ts").Series} Series */

/** Charts of losses come first: they are what one looks at. */
const FIRST = [
  "train_loss",
  "val_loss",
  "val_bits_per_byte",
  "learning_rate",
  "grad_norm",
  "tokens_per_second",
];

/**
 * @param {{run: import("../api_types.ts").RunDetails, stream: "metrics" | "system", version: number}} props
 */
export function RunCurves({ run, stream, version }) {
  const { searchParams: query } = useAddress();
  const choice = curveChoice(query);
  const names = stream === "metrics" ? ordered(run.metrics.map(({ name }) => name)) : run.system;
  const asked = curveQuery(choice);
  asked.set("run", run.id);
  asked.set("stream", stream);
  asked.set("raw", "1");
  for (const name of names.slice(0, 60)) asked.append("metric", name);
  /** @type {{answer: import("../api_types.ts").SeriesAnswer | undefined, error: string | undefined}} */
  const { answer, error } = useAnswer(names.length === 0 ? undefined : `/api/series?${asked}`, version);
  useTheme();
  if (names.length === 0) return html`<p class="empty">Nothing measured yet.</p>`;
  const byName = new Map(answer?.series.map((series) => [series.metric, series]));
  return html`
    <${CurveControls} choice=${choice} hasFlops=${typeof run.record.flops_per_token === "number"} />
    <${Failure} message=${error} />
    <div class="charts">${groups(names).map((group) => {
      const found = group.names.flatMap((name) => byName.get(name) ?? []);
      if (found.length === 0) return "";
      return html`
        <${Chart} key=${group.title} title=${group.title} lines=${found.flatMap((series, i) =>
          lines(series, i, group.names.length)
        )}
          options=${{
            x: choice.x,
            logX: choice.logX,
            logY: choice.logY,
            seams: found[0]?.seams ?? [],
            formatY: writerOf(group.title),
            sync: run.id,
          }} />
      `;
    })}</div>
  `;
}

/** @param {string[]} names */
function ordered(names) {
  const rank = (/** @type {string} */ name) => FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length;
  return [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/**
 * Losses on training and validation text belong into one chart, where they can be told apart by sight.
 *
 * @param {string[]} names
 */
function groups(names) {
  const loss = ["train_loss", "val_loss"].filter((name) => names.includes(name));
  const rest = names.filter((name) => !loss.includes(name)).map((name) => ({ title: name, names: [name] }));
  return loss.length === 0 ? rest : [{ title: "loss", names: loss }, ...rest];
}

/** @param {Series} series @param {number} index @param {number} among @returns {import("./plot.js").Line[]} */
function lines({ metric, x, y, raw, best }, index, among) {
  const { colour, dash } = lookOf(index);
  const label = among > 1 ? metric : metric.replaceAll("_", " ");
  const line = { label, x, y, colour, dash, best };
  return raw === undefined ? [line] : [{ ...line, ...raw, best: null, isFaint: true }, line];
}

/** @param {string} name */
function writerOf(name) {
  if (/bytes(_|$)/.test(name)) return format.bytes;
  if (/per_second$|^tokens$/.test(name)) return format.count;
  if (/fraction$|utilization$|^mfu$/.test(name)) {
    return (/** @type {number} */ v) => `${format.number(100 * v)}%`;
  }
  return format.number;
}
