/** What curves can be drawn by: the x axis, smoothing, logarithmic axes. All of it stands in the address. */
// @ts-check

import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { Check, Choice } from "./parts.js";
import { setQuery } from "./router.js";

/**
 * How the address wants curves.
 *
 * @typedef {object} CurveChoice
 * @property {string} x
 * @property {number} smoothing
 * @property {boolean} logX
 * @property {boolean} logY
 */

const AXES = /** @type {[string, string][]} */ ([["step", "step"], ["tokens", "tokens"], ["time", "time"], [
  "flops",
  "FLOPs",
]]);

/** @param {URLSearchParams} query @returns {CurveChoice} */
export function curveChoice(query) {
  const x = query.get("x") ?? "step";
  const smoothing = Number(query.get("smooth") ?? 0);
  return {
    x: AXES.some(([known]) => known === x) ? x : "step",
    smoothing: smoothing > 0 && smoothing < 1 ? smoothing : 0,
    logX: query.has("logx"),
    logY: query.has("logy"),
  };
}

/**
 * What the server is asked for such curves.
 *
 * @param {CurveChoice} choice
 */
export function curveQuery({ x, smoothing, logX }) {
  const query = new URLSearchParams({ x });
  if (smoothing > 0) query.set("smoothing", String(smoothing));
  if (logX) query.set("log", "1");
  return query;
}

/** @param {{choice: CurveChoice, hasFlops: boolean, children?: unknown}} props */
export function CurveControls({ choice, hasFlops, children }) {
  return html`
    <div class="toolbar controls">
      <${Choice} label="x axis" value=${choice.x} onChoose=${(/** @type {string} */ x) =>
        setQuery({ x: x === "step" ? undefined : x })}
        options=${AXES.map(([value, text]) => [value, text, value === "flops" && !hasFlops])} />
      <${Smoothing} value=${choice.smoothing} />
      <${Check} checked=${choice.logX} onChange=${(/** @type {boolean} */ on) =>
        setQuery({ logx: on })}>log x<//>
        <${Check} checked=${choice.logY} onChange=${(/** @type {boolean} */ on) =>
          setQuery({ logy: on })}>log y<//>
        ${children}
      </div>
  `;
}

/** @param {{value: number}} props */
function Smoothing({ value }) {
  const [shown, setShown] = useState(value);
  useEffect(() => setShown(value), [value]);
  useEffect(() => {
    if (shown === value) return;
    const timer = setTimeout(() => setQuery({ smooth: shown === 0 ? undefined : String(shown) }), 120);
    return () => clearTimeout(timer);
  }, [shown]);
  return html`<label class="slider">smoothing <input type="range" min="0" max="99" step="1"
    value=${Math.round(shown * 100)} aria-valuetext=${String(shown)}
    onInput=${(/** @type {Event & {currentTarget: HTMLInputElement}} */ e) =>
    setShown(Number(e.currentTarget.value) / 100)} />
    <output>${shown.toFixed(2)}</output></label>`;
}
