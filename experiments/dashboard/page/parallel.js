/**
 * Parallel coordinates (Inselberg 1985): each run is a line across axes of what differs between the runs, the metric last.
 * The line's colour tells the metric, so that good runs stand out. What it shows stands in the table below it as well.
 */
// @ts-check

import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { axisOf } from "./differences.js";
import * as format from "./format.js";
import { isDark } from "./palette.js";
import { shortened } from "./parts.js";
import { go, runAddress } from "./router.js";
import { useTheme } from "./theme.js";

/** @typedef {{title: string, values: Map<string, unknown>}} Axis values by the run's id */

const HEIGHT = 330;
const TOP = 44;
const BOTTOM = 16;
const SIDE = 64;
const LEAST_GAP = 110;

/**
 * @param {{
 *   runs: import("../api_types.ts").ComparedRun[],
 *   axes: Axis[],
 *   isLessBetter: boolean,
 *   over: string | undefined,
 *   onOver: (id: string | undefined) => void,
 * }} props `over`: the run that stands out
 */
export function ParallelCoordinates({ runs, axes, isLessBetter, over, onOver }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [room, setRoom] = useState(0);
  useTheme();
  useEffect(() => {
    const watch = new ResizeObserver(() => setRoom(place.current?.clientWidth ?? 0));
    if (place.current !== null) watch.observe(place.current);
    return () => watch.disconnect();
  }, []);
  const width = Math.max(room, 2 * SIDE + (axes.length - 1) * LEAST_GAP);
  const drawn = axes.map(({ title, values }, i) => ({
    title,
    values,
    left: axes.length === 1 ? width / 2 : SIDE + i * (width - 2 * SIDE) / (axes.length - 1),
    ...axisOf([...values.values()]),
  }));
  const result = drawn.at(-1);
  const lines = runs.map(({ id }) => {
    const points = drawn.flatMap(({ left, at, values }) => {
      const height = at(values.get(id));
      return height === undefined ? [] : [`${left.toFixed(1)},${topOf(height).toFixed(1)}`];
    });
    const good = result?.at(result.values.get(id));
    return {
      id,
      points: points.join(" "),
      colour: good === undefined ? "#888888" : colourOf(isLessBetter ? 1 - good : good),
    };
  });
  lines.sort((a, b) => Number(a.id === over) - Number(b.id === over)); // what is drawn last is on top
  const told = `Parallel coordinates of ${runs.length} runs over ${
    axes.map(({ title }) => title).join(", ")
  }; the table holds the same.`;
  return html`
    <div class="scroll" role="region" aria-label="Parallel coordinates" tabindex="0" ref=${place}>
      <svg class="parallel" width=${width} height=${HEIGHT} role="img" aria-label=${told}>
        ${lines.map(({ id, points, colour }) =>
          html`
            <polyline key=${id} points=${points} fill="none" stroke=${colour}
              class=${over === id ? "over" : over === undefined ? "" : "dim"}
              onMouseEnter=${() => onOver(id)} onMouseLeave=${() => onOver(undefined)}
              onClick=${() => go(runAddress(id))} />
          `
        )}
        ${drawn.map((axis) => html`<${AxisLine} key=${axis.title} ...${axis} />`)}
      </svg>
    </div>
  `;
}

/**
 * @param {{title: string, left: number, ticks: [place: number, value: unknown][], isLog: boolean}} props
 */
function AxisLine({ title, left, ticks, isLog }) {
  const short = shortened(title.slice(title.lastIndexOf(".") + 1).replaceAll("_", " "), 20);
  return html`<g transform=${`translate(${left} 0)`}>
    <line y1=${TOP} y2=${HEIGHT - BOTTOM} class="axis" />
    <text y="16" text-anchor="middle" class="title"><title>${title}</title>${short}</text>
    <text y="30" text-anchor="middle" class="kind">${isLog ? "log" : ""}</text>
    ${
    ticks.map(([place, value]) =>
      html`<text x="6" y=${topOf(place) + 4}>${shortened(format.number(value), 16)}</text>`
    )
  }
  </g>`;
}

/** Where on the picture a place from 0 (bottom) to 1 is. @param {number} place */
function topOf(place) {
  return TOP + (1 - place) * (HEIGHT - TOP - BOTTOM);
}

/** Stops of a scale whose lightness rises steadily, after viridis (van der Walt and Smith, 2015): all eyes see its order. */
const STOPS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

/** The colour of 0 (worst) to 1 (best); the best is the one that stands out from the ground. @param {number} place */
function colourOf(place) {
  const at = (isDark() ? 0.15 + 0.85 * place : 0.85 * (1 - place)) * (STOPS.length - 1);
  const i = Math.min(STOPS.length - 2, Math.floor(at));
  const [a = [], b = []] = [STOPS[i], STOPS[i + 1]];
  const mixed = a.map((from, channel) => Math.round(from + ((b[channel] ?? 0) - from) * (at - i)));
  return `rgb(${mixed.join(" ")})`;
}
