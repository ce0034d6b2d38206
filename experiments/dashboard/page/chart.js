/**
 * A chart in the page: drawn by uPlot on a canvas, its values beside it as text under the cursor, moved by mouse or arrow
 * keys. What it draws is told to screen readers as a sentence.
 */
// @ts-check

import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import * as format from "./format.js";
import { joined, plotOptions, writeX } from "./plot.js";
import { useTheme } from "./theme.js";

/** @typedef {import("./plot.js").Line} Line */

/**
 * @param {{
 *   title: string,
 *   lines: Line[],
 *   options: import("./plot.js").PlotOptions,
 *   height?: number,
 *   legend?: boolean,
 *   id?: string,
 * }} props `legend`: whether the lines' names stand below; their values at the cursor do either way
 */
export function Chart({ title, lines, options, height = 200, legend = false, id }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | undefined} */ (undefined));
  const [under, setUnder] = useState(/** @type {{x: number, y: (number | null)[]} | null} */ (null));
  const theme = useTheme();
  const { formatY = format.number, logX = false, logY = false } = options;
  // Another chart is needed when its lines or its look change; otherwise the one there gets new data and keeps its zoom.
  const shape = JSON.stringify([
    theme,
    height,
    options,
    lines.map(({ label, colour, dash, isFaint, band }) => [label, colour, dash, isFaint, band !== undefined]),
  ]);
  const latest = useRef(lines);
  latest.current = lines;

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const size = { width: Math.max(120, element.clientWidth), height };
    // The lines are asked for anew at each drawing: best points move while a run goes on.
    const live = lines.map((_, i) => proxied(() => latest.current[i] ?? lines[i]));
    const made = new uPlot(plotOptions(live, options, size, setUnder), joined(lines, logX, logY), element);
    plot.current = made;
    const watch = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height });
    });
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape]);

  useEffect(() => {
    const shown = plot.current;
    if (shown === undefined) return;
    const isZoomed = isZoomedIn(shown);
    shown.setData(joined(lines, logX, logY), !isZoomed);
    if (isZoomed) shown.redraw();
  }, [lines]);

  const values = lines.flatMap((line, i) => line.isFaint ? [] : [{ line, at: under?.y[i] }]);
  return html`<figure class="chart" id=${id}>
    <figcaption>
      <span class="title">${title}</span>
      <span class="reading">${
    under === null
      ? lines.length > 0 && values.length === 1 ? lastValue(values[0]?.line, formatY) : ""
      : html`<span class="at">${writeX(options.x, under.x)}</span>${
        values.length === 1
          ? html`
            <b>${written(values[0]?.at, formatY)}</b>
          `
          : ""
      }`
  }</span>
    </figcaption>
    <div class="plot" ref=${place} tabindex="0" role="img" aria-label=${
    sentence(title, values.map((v) => v.line), options.x, formatY)
  }
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => moveCursor(event, plot.current)}></div>
    ${
    legend || values.length > 1
      ? html`<ul class="legend">${
        values.map(({ line, at }) =>
          html`
            <li
              key=${line.label}><${Swatch} line=${line} /><span class="label" title=${line.label}>${line
                .label}</span>${under === null ? "" : html`<b>${written(at, formatY)}</b>`}</li>
          `
        )
      }</ul>`
      : ""
  }
    ${lines.length === 0 ? html`<p class="empty">Nothing measured yet.</p>` : ""}
  </figure>`;
}

/** The dash and colour of a line, beside its name. @param {{line: Line}} props */
export function Swatch({ line }) {
  const { colour, dash = [] } = line;
  return html`
    <svg class="swatch" width="18" height="8" aria-hidden="true">
      <line x1="0" y1="4" x2="18" y2="4"
        stroke=${colour} stroke-width="2.5" stroke-dasharray=${dash.join(" ") || "none"} />
    </svg>
  `;
}

/** @param {() => Line | undefined} get @returns {Line} */
function proxied(get) {
  return /** @type {Line} */ (new Proxy({}, { get: (_, key) => Reflect.get(get() ?? {}, key) }));
}

/** @param {uPlot} plot */
function isZoomedIn(plot) {
  const xs = plot.data[0];
  const { min, max } = plot.scales.x ?? {};
  if (min === null || min === undefined) return false; // nothing drawn yet
  return xs.length > 1 && (Number(min) > Number(xs[0]) || Number(max) < Number(xs.at(-1)));
}

/** @param {KeyboardEvent} event @param {uPlot | undefined} plot */
function moveCursor(event, plot) {
  const by =
    { ArrowLeft: -1, ArrowRight: 1, PageDown: -20, PageUp: 20, Home: -Infinity, End: Infinity }[event.key];
  if (plot === undefined || by === undefined) return;
  event.preventDefault();
  const last = plot.data[0].length - 1;
  const at = Math.min(last, Math.max(0, (plot.cursor.idx ?? last) + by));
  const x = plot.data[0][at];
  if (x !== undefined) plot.setCursor({ left: plot.valToPos(x, "x"), top: plot.over.clientHeight / 2 });
}

/** @param {number | null | undefined} value @param {(value: number) => string} formatY */
function written(value, formatY) {
  return typeof value === "number" ? formatY(value) : "–";
}

/** @param {Line | undefined} line @param {(value: number) => string} formatY */
function lastValue(line, formatY) {
  const last = line?.y.findLast((value) => value !== null);
  return html`<b>${written(last, formatY)}</b>`;
}

/** @param {string} title @param {Line[]} lines @param {string} axis @param {(value: number) => string} formatY */
function sentence(title, lines, axis, formatY) {
  const told = lines.slice(0, 12).map(({ label, x, y }) => {
    const finite = y.filter((value) => value !== null);
    if (finite.length === 0) return `${label}: no values`;
    const ends = `from ${written(finite[0], formatY)} to ${written(finite.at(-1), formatY)}`;
    return `${label}: ${ends}, least ${formatY(Math.min(...finite))}, up to ${axis} ${
      writeX(axis, x.at(-1) ?? 0)
    }`;
  });
  return `Chart of ${title} by ${axis}. ${told.join(". ")}. Arrow keys move along it.`;
}
